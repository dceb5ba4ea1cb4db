"""SIGTERM and SIGINT (Ctrl-C): how they end the worker, a job, and any other command. What is ending by one ignores those that follow."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from worker.errors import ExitCode, Fatal
from worker.store.connections import INTERRUPT_SECONDS, interrupt_all

log = structlog.get_logger()

_BOTH = (signal.SIGTERM, signal.SIGINT)


class Interrupted(Fatal):
    """A signal ended what was asked for before it was done. Nothing of it is left half done."""

    exit_code = ExitCode.INTERRUPTED


class Stop:
    """The wish to end: asked once, the worker drains; asked twice, it aborts."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.is_urgent = False
        self.is_asked = False
        self._is_over = False

    def ask(self) -> None:
        """Raises Interrupted, once, into whatever goes on in the main thread, where it was asked before and the drain is not over."""
        self.event.set()
        if self.is_asked and not self._is_over:
            self._is_over = self.is_urgent = True
            raise self.interrupted()
        self.is_asked = True

    def over(self) -> None:
        """The drain is over, well or not: what is left, to close the file and all else, is short, and must not be broken off."""
        self._is_over = True

    @staticmethod
    def interrupted() -> Interrupted:
        """What is told of an abort."""
        return Interrupted("stopped by a second signal before the drain was over", "Nothing is lost: what was not committed is read again.")


@contextmanager
def signals_handled(stop: Stop) -> Iterator[None]:
    """The first signal asks to stop; a second one aborts."""
    with _Interrupting() as interrupting:

        def asked(number: int) -> None:
            try:
                stop.ask()  # before all else: a log line that is being written when the signal comes may refuse another
            except Interrupted:
                _ignore()
                interrupting.begin()
                raise
            log.info("stop_requested", signal=signal.Signals(number).name)

        with _handled(asked):
            try:
                yield
            except Exception as error:
                # DuckDB makes an error of its own of what a signal raises while one of its calls goes on.
                if stop.is_urgent and not isinstance(error, Interrupted):
                    raise stop.interrupted() from error
                raise
            finally:
                if stop.is_asked:
                    _ignore()
        if stop.is_urgent:  # and a handler of errors has swallowed it
            raise stop.interrupted()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """The first signal raises KeyboardInterrupt, so that what is half done is cleared away; those that follow must not break that off.

    Where the block then ends with an error, or with an exit code that is not 0, Interrupted is raised.
    """
    came = ""
    with _Interrupting() as interrupting:

        def asked(number: int) -> None:
            nonlocal came
            _ignore()
            came = signal.Signals(number).name
            interrupting.begin()
            raise KeyboardInterrupt

        with _handled(asked):
            try:
                yield
            except (Exception, KeyboardInterrupt, SystemExit) as error:
                if came and not (isinstance(error, SystemExit) and not error.code):
                    raise Interrupted(f"stopped by {came}", "Nothing half done was left.") from error
                raise


@contextmanager
def _handled(asked: Callable[[int], None]) -> Iterator[None]:
    heard = [number for number in _BOTH if signal.getsignal(number) is not signal.SIG_IGN]  # a shell ignores SIGINT for what ends with &
    before = {number: signal.signal(number, lambda number, _frame: asked(number)) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, handler)


def _ignore() -> None:
    """Until the process has ended: one that comes while Python is taken down would make another exit code of it."""
    for number in _BOTH:
        signal.signal(number, signal.SIG_IGN)


class _Interrupting:
    """From `begin` on, what goes on in DuckDB is interrupted: a call feels what a signal raises, but then waits for threads that go on."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="interrupts", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(INTERRUPT_SECONDS):
            interrupt_all(threading.main_thread())  # others are told to end, one by one

    def __enter__(self) -> "_Interrupting":
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
