"""The three outcomes of trouble: try again (Unavailable), set aside (events.Rejected, a value), stop (Fatal).

Every error says what was wrong, where, and what to do. Exit codes are documented in docs/operations.md.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a `tidemark` process says when it ends."""

    OK = 0
    UNEXPECTED = 1  # a bug: the traceback is shown
    USAGE = 2  # a wrong command line or configuration
    SOURCE = 3  # the broker's log is not the one that was read before, or access to it was lost
    STORE = 4  # the DuckDB file: held by another process, damaged, not writable, disk full
    DIFFERENCES = 5  # verify, doctor or schema check found what should not be as it is
    REJECTED = 6  # most messages were rejected: a wrong topic or schema
    UNAVAILABLE = 7  # a command gave up waiting for a broker, a registry or a worker
    FAILED = 8  # what was asked for was begun and not done: a job failed or was cancelled, a mart failed
    INTERRUPTED = 130  # a signal ended a command before it was done, or a second one the worker before the drain was over
    UNREAD = 141  # nobody reads what a command prints any more, as after `| head`: no error, and no word of it


class TidemarkError(Exception):
    """An error that a user can act upon: `message` says what and where, `remedy` says what to do."""

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


class Unavailable(TidemarkError):
    """Something outside is away for now (broker, registry, worker): the caller waits and tries again."""

    exit_code = ExitCode.UNAVAILABLE


class Stopping(Unavailable):
    """The worker ends: what it was asked for is not done."""

    def __init__(self) -> None:
        super().__init__("the worker stops", "Ask again once it runs.")


class Fatal(TidemarkError):
    """The worker must stop: going on would guess, repeat or lose. Nothing of the current batch was committed."""


class ConfigError(Fatal):
    """The configuration or command line is wrong; the message lists all faults at once."""

    exit_code = ExitCode.USAGE


class SourceError(Fatal):
    """The log is not the one that the position belongs to, its offsets are gone, or access was refused."""

    exit_code = ExitCode.SOURCE


class ArchiveError(Fatal):
    """A file of an archive is damaged, has other columns than its stream, or is not what the job began with."""

    exit_code = ExitCode.SOURCE


class StoreError(Fatal):
    """The DuckDB file can't be opened, read or written."""

    exit_code = ExitCode.STORE


class OutOfMemory(StoreError):
    """DuckDB needed more than store.memory_limit; the transaction was rolled back."""


class PositionConflict(StoreError):
    """After a commit the file holds another position than the one written (another writer was there), or can't be read."""


class TooManyRejected(Fatal):
    """More than half of the last messages were rejected: a wrong topic or schema, not bad records."""

    exit_code = ExitCode.REJECTED


class Differences(TidemarkError):
    """A check ran to its end and found differences; they were printed."""

    exit_code = ExitCode.DIFFERENCES
