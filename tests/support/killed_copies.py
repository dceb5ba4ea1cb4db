"""Makes backups and restores, each in a child that is killed by signal 9 after a moment: FILE DIRECTORY SEED KILLS."""

import os
import signal
import sys
import time
from pathlib import Path
from random import Random

from worker import cli


def main(file: Path, directory: Path, random: Random, kills: int) -> None:
    """A whole backup takes as long as it takes; each of the others is killed within that time, and so are restores of the whole one."""
    directory.mkdir()
    whole = directory / "whole.duckdb"
    longest = _run("backup", whole, file=file)
    for number in range(kills):
        _run("backup", directory / f"{number}.duckdb", file=file, wait=random.uniform(0.0, longest))
    longest = _run("restore", whole, file=directory / "restored.duckdb")
    for number in range(kills):
        _run("restore", whole, file=directory / f"restored{number}.duckdb", wait=random.uniform(0.0, longest))


def _run(command: str, argument: Path, *, file: Path, wait: float | None = None) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            cli.main(["--set", f"store.path={file}", command, str(argument)])
        finally:
            os._exit(0)
    if wait is not None:
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return time.monotonic() - began


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Random(int(sys.argv[3])), int(sys.argv[4]))
