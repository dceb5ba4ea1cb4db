"""tidemark status: how far the worker has come; of a worker that runs, else of the file."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.live import Live

from worker.commands import AsJson, Sources, print_json_lines
from worker.commands.formats import moment, screen
from worker.commands.status_view import StatusView
from worker.config import Settings
from worker.errors import ConfigError, StoreError, Unavailable
from worker.metrics import SourceState
from worker.run import SYSTEM_CLOCK
from worker.serve.admin import NoWorker, ask
from worker.serve.status import Status, status_of_file
from worker.store.reader import open_reader

_ANSWER_SECONDS = 10.0  # the worker answers from a snapshot, at once


def status(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Look again each second until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show state, watermark, lag, rates, days, re-merges, accounting and rejected messages; of the file alone where no worker runs."""
    settings = context.ensure_object(Sources).settings()
    console = screen()
    if not watch:
        snapshot = current_status(settings)
        if as_json:
            print_json_lines([snapshot.as_json()])
        else:
            console.print(StatusView(snapshot, SYSTEM_CLOCK.now()))
        return
    looks = _looks(Watcher(settings), lambda: time.sleep(1.0))
    with until_interrupted():
        if as_json:
            write_looks(looks)
        else:
            draw_looks(looks, console)


def current_status(settings: Settings) -> Status:
    """From the worker that holds the file, else from the file. Raises StoreError, Unavailable."""
    try:
        return _asked(settings)
    except NoWorker:
        with closing(open_reader(settings.store.path, settings.store)) as connection:
            return status_of_file(connection, settings.store.path)


def _asked(settings: Settings) -> Status:
    try:
        return Status.model_validate(ask(settings.admin_socket, "status", seconds=_ANSWER_SECONDS))
    except ValidationError:
        raise StoreError(
            "the worker that runs is of another version than this command", "Ask it with its own, or start it again."
        ) from None


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at a moment. notice: why it is not what a worker says now, or nothing."""

    at: datetime
    status: Status
    notice: str = ""


class Watcher:
    """Looks at a worker again and again. The file is read once at most, before any worker was seen: a worker that starts needs it alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last: Look | None = None

    def look(self, now: datetime) -> Look:
        """The status, or the last one with a notice. Raises StoreError, Unavailable: at the first look only."""
        try:
            self._last = Look(now, _asked(self._settings))
            return self._last
        except NoWorker:
            if self._last is None:
                self._last = Look(now, current_status(self._settings))
            return self._since(self._last, now, "no worker answers; trying again")
        except (StoreError, Unavailable) as error:
            if self._last is None:
                raise
            return self._since(self._last, now, f"{error.message}; trying again")

    def _since(self, last: Look, now: datetime, notice: str) -> Look:
        source = "the worker" if last.status.taken_at else "the file"
        gone = last.status.model_copy(update={"state": SourceState.STOPPED, "not_ready": (), "message": "", "rates": None})
        return Look(now, gone, f"{notice}. This is what {source} said at {moment(last.at)} UTC")


def draw_looks(looks: Iterator[Look], console: Console) -> None:
    """Keep the screen up to date; the last look stays when it is left. Raises ConfigError where there is no screen."""
    if not console.is_terminal or console.is_dumb_terminal:
        raise ConfigError("--watch draws on a terminal, and this is none", "For programs: --watch --json. In a container: exec with -t.")
    last = next(looks)
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            for look in chain([last], looks):
                last = look
                live.update(StatusView(look.status, look.at, notice=look.notice, height=console.height), refresh=True)
    finally:
        console.print(StatusView(last.status, last.at, notice=last.notice))


def write_looks(looks: Iterator[Look]) -> None:
    """One line of JSON a look, at once."""
    for look in looks:
        print_json_lines([{"looked_at": look.at.isoformat(), "notice": look.notice, **look.status.as_json()}])
        sys.stdout.flush()


def _looks(watcher: Watcher, pause: Callable[[], None]) -> Iterator[Look]:
    while True:
        yield watcher.look(SYSTEM_CLOCK.now())
        pause()


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Ctrl-C, or SIGTERM, is how it is meant to end."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)
