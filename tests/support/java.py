"""Servers of the tests that run on Java: their jars by Maven, kept in build/; a process, its log and its end."""

import atexit
import fcntl
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # a server of a test has little to do
START_SECONDS = 120.0


class NotHere(Exception):
    """What a test needs can't be had on this machine; the message says why."""


class JavaProcess:
    """`java ARGUMENTS` in `directory`, its output in a file there. Ends with this process at the latest."""

    def __init__(self, arguments: Sequence[str], directory: Path, answers: Callable[[], bool]) -> None:
        """`answers`: whether it is ready, asked until it is."""
        self._command = ["java", *QUICK_START, *arguments]
        self._directory = directory
        self._answers = answers
        self._log = directory / "output.log"
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.kill)  # pytest may end without the end of its fixtures

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            # In a session of its own: a Ctrl-C at the terminal is for pytest, which then stops it in order.
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, cwd=self._directory, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._command} did not start:\n{self._log.read_text()[-4000:]}")
            time.sleep(0.1)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def stop(self) -> None:
        """Stop it in order; its files stay."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    @contextmanager
    def hung(self) -> Iterator[None]:
        """It lives, and its connections stand, but it does nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        self._process.kill()
        self._process.wait()
        self._process = None


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now, each another one."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def fetched(name: str, fetch: Callable[[Path], None]) -> Path:
    """The folder build/NAME; where it is missing, `fetch` fills it, once for all test processes."""
    folder = ROOT / "build" / name
    with _locked(folder):
        if not folder.is_dir():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            fetch(part)
            part.rename(folder)
    return folder


def maven(*arguments: str) -> None:
    """Run Maven. Raises NotHere where there is none, or no Java, or it fails."""
    if not shutil.which("mvn") or not shutil.which("java"):
        raise NotHere("no Docker engine runs, and there is no mvn or java to fetch the jars and run them")
    done = subprocess.run(["mvn", "-q", "-B", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotHere(f"mvn {' '.join(arguments)} failed: {done.stdout[-2000:]}")


def docker_runs() -> bool:
    """Whether a Docker engine answers (a client alone is not enough)."""
    return bool(shutil.which("docker")) and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
