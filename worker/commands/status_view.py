"""A status as a person reads it, for 80 columns and more: the facts on top, then tables, side by side where there is room."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from worker.commands import formats, shown
from worker.commands.formats import cells, count, lasting, moment, money, signed
from worker.events import Origin
from worker.metrics import SourceState
from worker.serve.status import PartitionStatus, Status

_SIDE_BY_SIDE = 160  # columns
_ALL = 1_000_000  # rows
_STYLES = {SourceState.CAUGHT_UP: "bold green", SourceState.READING: "bold cyan", SourceState.STARTING: "bold cyan"}
_STALE_SECONDS = 10.0


class StatusView:
    """Renders a status. now: for what is said of the past; notice: what the reader must know first; height: lines that it may take."""

    def __init__(self, status: Status, now: datetime, *, notice: str = "", height: int | None = None) -> None:
        self._status = status
        self._now = now
        self._notice = notice
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        """As many rows of each table as the height allows."""
        if self._height is None:
            yield self._drawn(options, _ALL)
            return
        for most in (_ALL, 20, 12, 8, 5, 3, 2, 1):
            drawn = self._drawn(options, most)
            if len(console.render_lines(drawn, options.update(height=None))) <= self._height:
                break
        yield drawn

    def _drawn(self, options: ConsoleOptions, most: int) -> RenderableType:
        is_wide = options.max_width >= _SIDE_BY_SIDE
        width = options.max_width // 2 if is_wide else options.max_width
        left = [self._positions(width, most), self._rejected(width, most)]
        right = [self._remerges(width, most), self._accounting(width, most)]
        top = [self._heading(), self._facts(options)]
        if not is_wide:
            return Group(*top, *_spaced([left[0], *right, left[1]]))
        columns = Table.grid(expand=True, padding=(0, 4, 0, 0), pad_edge=False)
        columns.add_column(ratio=1)
        columns.add_column(ratio=1)
        columns.add_row(Group(*_spaced(left)), Group(*_spaced(right)))
        return Group(*top, columns)

    def _heading(self) -> RenderableType:
        status = self._status
        state = Text(status.state.replace("_", " "), style=_STYLES.get(status.state, "bold yellow"))
        first = Table.grid(expand=True)
        first.add_column(overflow="fold")
        first.add_column(justify="right", no_wrap=True)
        name = Text(f"  {shown(status.file.path)}" if status.file else "")
        first.add_row(Text.assemble(state, name), Text(f"{moment(self._now)} UTC", style="dim"))
        notices = [self._notice, status.message, self._stale(), *(reason for reason in status.not_ready if reason != status.message)]
        return Group(first, *(Text(shown(notice), style="yellow") for notice in dict.fromkeys(notices) if notice))

    def _stale(self) -> str:
        """The worker answers at once, from its last snapshot: how old that is tells how it is."""
        if self._notice or self._status.taken_at is None or self._status.state is SourceState.STOPPED:
            return ""
        age = (self._now - self._status.taken_at).total_seconds()
        return f"this was so {lasting(age)} ago: the worker is busy with one commit, or stands still" if age > _STALE_SECONDS else ""

    def _facts(self, options: ConsoleOptions) -> RenderableType:
        facts = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        facts.add_column(style="dim", no_wrap=True)
        facts.add_column(overflow="fold")
        written: dict[str, Callable[[], str]] = {
            "watermark": self._watermark,
            "offset lag": self._lag,
            "messages": lambda: self._speed(options),
            "commits": self._commits,
            "file": self._file,
            "days": self._days,
            "tidemark": self._fixed,
        }
        for name, text in written.items():
            if value := text():
                facts.add_row(name, Text(value))
        return Padding(facts, (1, 0, 0, 0))

    def _watermark(self) -> str:
        status = self._status
        if status.watermark is None:
            return "none yet"
        lag = status.watermark_lag_seconds
        return f"{moment(status.watermark)} UTC" + (f", {lasting(lag)} behind the clock" if lag is not None else "")

    def _lag(self) -> str:
        lag, rates = self._status.offset_lag, self._status.rates
        if lag is None:
            return ""
        if not lag or self._status.state is not SourceState.READING or rates is None or rates.offset_lag_per_second is None:
            return count(lag)
        if rates.catch_up_seconds is None:
            return f"{count(lag)}, not shrinking: {signed(rates.offset_lag_per_second)}/s"
        return f"{count(lag)}, caught up in {lasting(rates.catch_up_seconds)} at {signed(rates.offset_lag_per_second)}/s"

    def _speed(self, options: ConsoleOptions) -> str:
        rates = self._status.rates
        if rates is None:
            return ""
        history = rates.history[-max(10, options.max_width - 40) :]
        line = formats.sparkline(history, ascii_only=options.ascii_only)
        of_the_last = f"  |{line}| the last {lasting(5 * len(history))}" if any(history) else ""
        return f"{formats.rate(rates.messages_per_second):>8}/s{of_the_last}"

    def _commits(self) -> str:
        status = self._status
        if status.last_commit_at is None:
            return "none yet"
        often = f"{formats.rate(status.rates.commits_per_second):>8}/s, " if status.rates else ""
        return f"{often}the last {lasting((self._now - status.last_commit_at).total_seconds())} ago"

    def _file(self) -> str:
        file, rates = self._status.file, self._status.rates
        if file is None:
            return ""
        growth, wal_growth = (rates.file_bytes_per_second, rates.wal_bytes_per_second) if rates else (0.0, 0.0)
        return f"{_grown(file.file_bytes, growth)}, write-ahead log {_grown(file.wal_bytes, wal_growth)}"

    def _days(self) -> str:
        days = self._status.days
        counts = f"{count(days.open)} open, {count(days.closed)} closed, {count(days.sealed)} sealed"
        return f"{counts}; {days.first} to {days.last}" if days.first else "none yet"

    def _fixed(self) -> str:
        status = self._status
        versions = ", ".join(version if name == "tidemark" else f"{name} {version}" for name, version in status.versions.items())
        fixed = f"; days in {status.reporting_time_zone}, money in {status.reporting_currency}" if status.reporting_currency else ""
        return versions + fixed

    def _positions(self, width: int, most: int) -> RenderableType | None:
        partitions = self._status.partitions
        if not partitions:
            return None
        made = formats.table(width, left=["topic"], right=["partition", "next offset", "log end", "lag"])
        kept = _furthest_behind(partitions, most)
        for each in kept:
            ends = ["" if number is None else count(number) for number in (each.log_end_offset, each.offset_lag)]
            made.add_row(*cells(each.topic, each.partition, count(each.next_offset), *ends))
        return _titled("Positions", made, len(partitions) - len(kept))

    def _remerges(self, width: int, most: int) -> RenderableType | None:
        remerges, currency = self._status.remerges[:most], self._status.reporting_currency or ""
        if not remerges:
            return None
        right = ["re-\nvision", "late\nnew", "up-\ndates", "touch-\npoints", "orders", f"net {currency}", "ago"]
        made = formats.table(width, left=["day"], right=right)
        for each in remerges:
            change = signed(each.touchpoints), signed(each.orders), money(each.net_cents, currency, is_signed=True)
            made.add_row(
                *cells(each.day, each.revision, count(each.late_new), count(each.late_update), *change, self._ago(each.changed_at))
            )
        return _titled("Closed days that were re-merged last: what changed since they closed", made)

    def _accounting(self, width: int, most: int) -> RenderableType | None:
        rows = self._status.accounting
        if not rows:
            return None
        right = ["read", "accepted", "dupli-\ncate", "con-\nflicting", "super-\nseded", "rejected", "expired"]
        made = formats.table(width, left=["stream"], right=right)
        for each in rows[:most]:
            outcomes = each.accepted, each.duplicate, each.conflicting_duplicates, each.superseded, each.rejected, each.expired
            name = each.stream if each.origin == Origin.LIVE else f"{each.stream}, {each.origin}"
            made.add_row(*cells(name, count(each.read), *(count(number) for number in outcomes)))
        return _titled("Accounting (conflicting duplicates are among the duplicates)", made, len(rows) - most)

    def _rejected(self, width: int, most: int) -> RenderableType | None:
        rows = self._status.rejected
        if not rows:
            return None
        made = formats.table(width, left=["stream", "stage", "reason"], right=["messages", "to send", "last,\nago"])
        for each in rows[:most]:
            made.add_row(*cells(each.stream, each.stage, each.reason, count(each.messages), count(each.pending), self._ago(each.last_at)))
        return _titled("Rejected messages", made, len(rows) - most)

    def _ago(self, at: datetime) -> str:
        return lasting((self._now - at).total_seconds())


def _grown(bytes_now: int, growth: float) -> str:
    return formats.size(bytes_now) + (f" ({'+' if growth > 0 else ''}{formats.size(growth)}/s)" if growth else "")


def _furthest_behind(partitions: Sequence[PartitionStatus], most: int) -> list[PartitionStatus]:
    """In their order; those whose lag is greatest, where not all find room."""
    chosen = sorted(partitions, key=lambda partition: partition.offset_lag or 0, reverse=True)[:most]
    return [partition for partition in partitions if partition in chosen]


def _titled(title: str, made: Table, more: int = 0) -> RenderableType:
    rest = [Text(f"and {more:,} more", style="dim")] if more > 0 else []
    return Group(Text(title, style="bold"), made, *rest)


def _spaced(sections: Iterable[RenderableType | None]) -> list[RenderableType]:
    return [Padding(section, (1, 0, 0, 0)) for section in sections if section is not None]
