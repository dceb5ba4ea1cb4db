"""`tidemark` in this process, as a person or a script runs it: what it prints, and the exit code."""

import json
from typing import Any, NamedTuple

import pytest

from worker import cli


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def lines(self) -> list[Any]:
        """The objects that --json printed."""
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """Runs commands in the working directory of the test, with no settings but those it gives."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ended:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        out, err = self._capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)
