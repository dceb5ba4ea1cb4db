"""A status as a person reads it, for 80 columns and more: the facts on top, then tables, side by side where there is room."""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from worker.commands import formats, shown
from worker.commands.formats import cells, count, lasting, moment, money, signed
from worker.events import Origin
from worker.marts.refresh import RunState
from worker.metrics import SourceState
from worker.serve.status import Status

_SIDE_BY_SIDE = 160  # columns
_ALL = 1_000_000  # rows
_SIZES = ((_ALL, 1), (20, 1), (12, 1), (8, 1), (5, 1), (3, 1), (3, 0), (2, 0), (1, 0))  # rows of a table, lines between two
_BAR = 12  # columns of a job's progress
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
        for most, gap in _SIZES:
            drawn = self._drawn(options, most, gap)
            if len(console.render_lines(drawn, options.update(height=None))) <= self._height:
                break
        yield drawn

    def _drawn(self, options: ConsoleOptions, most: int, gap: int = 1) -> RenderableType:
        def spaced(*sections: RenderableType | None) -> list[RenderableType]:
            return [Padding(section, (gap, 0, 0, 0)) for section in sections if section is not None]

        is_wide = options.max_width >= _SIDE_BY_SIDE
        width = options.max_width // 2 if is_wide else options.max_width
        positions, remerges, jobs = self._positions(width, most), self._remerges(width, most), self._jobs(width, most)
        accounting, rejected = self._accounting(width, most), self._rejected(width, most)
        top = [self._heading(), self._facts(options)]
        if not is_wide:
            return Group(*top, *spaced(jobs, positions, remerges, accounting, rejected))
        columns = Table.grid(expand=True, padding=(0, 4, 0, 0), pad_edge=False)
        columns.add_column(ratio=1)
        columns.add_column(ratio=1)
        columns.add_row(Group(*spaced(positions, rejected)), Group(*spaced(jobs, remerges, accounting)))
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
        written = {
            "watermark": self._watermark(),
            "offset lag": self._lag(),
            "speed": self._speed(options),
            "commits": self._commits(),
            "file": self._file(),
            "marts": self._marts(),
            "audits": self._audits(),
            "days": self._days(),
            "tidemark": self._fixed() if self._height is None else "",
        }
        for name, text in written.items():
            if text:
                facts.add_row(name, Text(text))
        return facts

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
        history = rates.history[-max(10, options.max_width - 57) :]
        line = formats.sparkline(history, ascii_only=options.ascii_only)
        of_the_last = f"  |{line}| the last {lasting(5 * len(history))}" if any(history) else ""
        return f"{formats.rate(rates.messages_per_second):>8} messages/s{of_the_last}"

    def _commits(self) -> str:
        status = self._status
        if status.last_commit_at is None:
            return "none yet"
        age = f"{self._ago(status.last_commit_at)} ago"
        if status.rates is None:
            return f"the last at {moment(status.last_commit_at)} UTC, {age}"
        return f"{formats.rate(status.rates.commits_per_second):>8}/s, the last {age}"

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

    def _marts(self) -> str:
        marts = self._status.marts
        as_of = max((each.as_of for each in marts if each.as_of), default=None)
        if as_of is None:
            return "none yet"
        behind = [each.mart for each in marts if each.as_of != as_of]
        failed = [f"{each.mart} failed: {shown(each.message)}" for each in marts if each.state == RunState.FAILED]
        return "; ".join([f"{len(marts) - len(behind)} of {len(marts)} as of {as_of}", *failed])

    def _audits(self) -> str:
        """Nothing, where none fails."""
        found = [f"{each.table_name}: {each.audit} ({each.severity})" for each in self._status.audits]
        return f"{len(found)} fail, see tidemark audit: {'; '.join(found)}" if found else ""

    def _fixed(self) -> str:
        status = self._status
        versions = ", ".join(version if name == "tidemark" else f"{name} {version}" for name, version in status.versions.items())
        fixed = f"; days in {status.reporting_time_zone}, money in {status.reporting_currency}" if status.reporting_currency else ""
        return versions + fixed

    def _positions(self, width: int, most: int) -> RenderableType | None:
        partitions = self._status.partitions
        if len(partitions) > most:
            return self._topics(width)
        made = formats.table(width, left=["topic"], right=["partition", "next offset", "log end", "lag"])
        for each in partitions:
            made.add_row(*cells(each.topic, each.partition, count(each.next_offset), _known(each.log_end_offset), _known(each.offset_lag)))
        return made if partitions else None

    def _topics(self, width: int) -> RenderableType:
        made = formats.table(width, left=["topic"], right=["partitions", "lag", "furthest behind", "by"])
        for topic, group in groupby(self._status.partitions, key=lambda partition: partition.topic):
            partitions = list(group)
            known = [partition for partition in partitions if partition.offset_lag is not None]
            last = max(known, key=lambda partition: partition.offset_lag or 0, default=None)
            behind = (last.partition, _known(last.offset_lag)) if last and last.offset_lag else ("", "")
            lag = _known(sum(partition.offset_lag or 0 for partition in known) if known else None)
            made.add_row(*cells(topic, len(partitions), lag, *behind))
        return made

    def _remerges(self, width: int, most: int) -> RenderableType | None:
        remerges, currency = self._status.remerges, self._status.reporting_currency or ""
        right = ["revision", "new", "updates", "touchpoints", "orders", f"net {currency}", "ago"]
        made = formats.table(width, left=["re-merged"], right=right)
        for each in remerges[:most]:
            change = signed(each.touchpoints), signed(each.orders), money(each.net_cents, currency, is_signed=True)
            made.add_row(
                *cells(each.day, each.revision, count(each.late_new), count(each.late_update), *change, self._ago(each.changed_at))
            )
        return made if remerges else None

    def _jobs(self, width: int, most: int) -> RenderableType | None:
        jobs = self._status.jobs
        made = formats.table(width, left=["job", "state", ""], right=["done", "read", "accepted", "rejected", "ago"])
        for each in jobs[:most]:
            name = f"{each.id} {each.kind}"
            part = ProgressBar(each.total, each.done, width=_BAR) if each.total and each.ended_at is None else ""
            share = f"{100 * each.done / each.total:.0f} %" if each.total else count(each.done)
            numbers = count(each.read), count(each.accepted), count(each.rejected)
            made.add_row(*cells(name, each.state), part, *cells(share, *numbers, self._ago(each.changed_at)))
        return made if jobs else None

    def _accounting(self, width: int, most: int) -> RenderableType | None:
        rows = self._status.accounting
        right = ["read", "accepted", "dupli-\ncate", "con-\nflicting", "super-\nseded", "rejected", "expired"]
        made = formats.table(width, left=["messages"], right=right)
        for each in rows[:most]:
            outcomes = each.accepted, each.duplicate, each.conflicting_duplicates, each.superseded, each.rejected, each.expired
            name = Text(each.stream if each.origin == Origin.LIVE else f"{each.stream}\n  {each.origin}")
            made.add_row(*cells(name, count(each.read), *(count(number) for number in outcomes)))
        return _and_more(made, len(rows) - most) if rows else None

    def _rejected(self, width: int, most: int) -> RenderableType | None:
        rows = self._status.rejected
        made = formats.table(width, left=["rejected", "stage", "reason"], right=["messages", "to send", "ago"])
        for each in rows[:most]:
            numbers = count(each.messages), count(each.pending)
            made.add_row(*cells(each.stream, each.stage, each.reason, *numbers, self._ago(each.last_at)))
        return _and_more(made, len(rows) - most) if rows else None

    def _ago(self, at: datetime) -> str:
        return lasting((self._now - at).total_seconds())


def _grown(bytes_now: int, growth: float) -> str:
    return formats.size(bytes_now) + (f" ({'+' if growth > 0 else ''}{formats.size(growth)}/s)" if growth else "")


def _known(number: int | None) -> str:
    return "" if number is None else count(number)


def _and_more(made: Table, more: int) -> RenderableType:
    return Group(made, Text(f"and {more:,} more", style="dim")) if more > 0 else made
