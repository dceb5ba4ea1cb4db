"""A shell in a directory, with `tidemark` as an operator has it: commands of a guide are run here, at a terminal or not."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.commands import ROOT
from tests.support.guide import CTRL_C, Block, Step, difference, is_seen, is_seen_already
from worker.errors import TidemarkError
from worker.serve.admin import ask

PATIENCE = 120.0  # seconds; a busy machine must not fail a test
_COLUMNS, _LINES = 100, 60
_MOVES = re.compile(r"\x1b\[[\d;]*[HAK]")  # of the cursor, or a line made empty: what comes then stands elsewhere
_ESCAPES = re.compile(r"\x1b\[[\d;?]*[a-zA-Z]|\r")


class Console:
    """`directory`: where commands are run; `clock_shift`: seconds by which tidemark's clock is behind; `cache`: of compiled modules."""

    def __init__(self, directory: Path, clock_shift: float, cache: Path) -> None:
        self._directory = directory
        binaries = directory / ".bin"
        binaries.mkdir(exist_ok=True)
        tidemark = binaries / "tidemark"
        tidemark.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.support.shifted "$@"\n')
        tidemark.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK_", "PYTHON"))}
        self._environment = kept | {
            "PATH": f"{binaries}:{kept['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONPYCACHEPREFIX": str(cache),
            "PYTHONUNBUFFERED": "1",  # so that standard output and errors come in the order in which they were written
            "TIDEMARK_TEST_CLOCK_SHIFT": str(clock_shift),
            "COLUMNS": str(_COLUMNS),
            "TERM": "xterm",
        }

    def run(self, block: Block) -> None:
        """Its commands, one after another. Raises AssertionError where one ends or prints otherwise than the guide shows."""
        for number, step in enumerate(block.steps, 1):
            code, printed = self._typed(step) if CTRL_C in step.shown.splitlines() else self.end(step.command)
            assert is_seen(step.shown, printed), difference(step, printed)
            assert code == (block.exit_code if number == len(block.steps) else 0), f"$ {step.command}\nended with {code}"

    def end(self, command: str) -> tuple[int, str]:
        """Run a command to its end: its exit code, and all that it printed."""
        with self._started(command, subprocess.PIPE) as process:
            printed, _ = process.communicate(timeout=PATIENCE)
            return process.returncode, printed.decode()

    @contextmanager
    def worker(self, socket: Path) -> Iterator[None]:
        """A worker runs meanwhile; it has read all that there is."""
        with (self._directory / "worker.log").open("wb") as log, self._started("exec tidemark run", log.fileno()) as process:
            self._wait_until_caught_up(process, socket)
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0, (self._directory / "worker.log").read_text()

    @contextmanager
    def _started(self, command: str, output: int, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self._directory,
            env=self._environment,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT if output == subprocess.PIPE else output,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def _wait_until_caught_up(self, process: subprocess.Popen[bytes], socket: Path) -> None:
        deadline = time.monotonic() + PATIENCE
        while not _is_caught_up(socket):
            said = (self._directory / "worker.log").read_text()
            assert process.poll() is None, f"the worker ended:\n{said}"
            assert time.monotonic() < deadline, f"the worker has not caught up:\n{said}"
            time.sleep(0.1)

    def _typed(self, step: Step) -> tuple[int, str]:
        """Run a command at a terminal, and press Ctrl-C as soon as all that the guide shows above it is there."""
        above, _, _ = step.shown.partition(f"{CTRL_C}\n")
        terminal, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
        with self._started(f"exec {step.command}", side, side) as process, os.fdopen(terminal, "rb", buffering=0) as screen:
            os.close(side)
            seen = _until(screen.fileno(), lambda printed: is_seen_already(above, printed))
            process.send_signal(signal.SIGINT)
            rest = _until(screen.fileno(), lambda _: False)
            return process.wait(PATIENCE), f"{seen.rstrip()}\n{CTRL_C}\n{rest}"


def _is_caught_up(socket: Path) -> bool:
    """And has been there for long enough to tell its rates."""
    try:
        status = ask(socket, "status")
    except TidemarkError:
        return False
    return status["state"] == "caught_up" and status["rates"] is not None


def _until(terminal: int, is_enough: Callable[[str], bool]) -> str:
    """What comes on the screen until it is enough, or the command has ended."""
    printed, deadline = b"", time.monotonic() + PATIENCE
    while not is_enough(_plain(printed)):
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            break
        try:
            more = os.read(terminal, 65_536)
        except OSError:  # so Linux says that nobody writes there any more
            break
        if not more:
            break
        printed += more
    return _plain(printed)


def _plain(printed: bytes) -> str:
    """Without what moves the cursor or paints."""
    return _ESCAPES.sub("", _MOVES.sub("\n", printed.decode(errors="replace")))
