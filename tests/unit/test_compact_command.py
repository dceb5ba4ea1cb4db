"""tidemark compact says what it has given back."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.copies import ended
from worker.commands import compact
from worker.errors import ExitCode


def test_what_lay_in_the_write_ahead_log_was_taken_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker's log may hold more than its file does, and compact moves it there: else a file that shrank would seem to have grown."""
    file, log = tmp_path / "shop.duckdb", tmp_path / "shop.duckdb.wal"
    file.write_bytes(b"x" * 10)
    log.write_bytes(b"x" * 50)

    def work(*_: Any, **__: Any) -> None:
        log.unlink()
        file.write_bytes(b"x" * 40)

    monkeypatch.setattr(compact, "submit", work)
    assert ended("compact", path=file) == ExitCode.OK
    assert "60 B before, 40 B now" in capsys.readouterr().out
