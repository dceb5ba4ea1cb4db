"""An explanation as a person reads it: what the day is, its numbers at closing and now, what changed them, and the events that did."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from worker.commands import formats, shown
from worker.commands.explanation import Change, DayState, Explanation, FirstDayMove, LateEvent, Number, Offsets
from worker.commands.formats import cells, count, lasting, moment, money, signed

_ONE_LINE = 120  # columns in which an event has room in one line
_STATE = {DayState.NONE: "has no events", DayState.OPEN: "is open", DayState.CLOSED: "is closed", DayState.SEALED: "is sealed"}
_STYLES = {DayState.OPEN: "bold cyan", DayState.CLOSED: "bold green", DayState.SEALED: "bold blue"}


class ExplanationView:
    """Renders an explanation."""

    def __init__(self, explanation: Explanation) -> None:
        self._told = explanation

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        told, width = self._told, options.max_width
        yield Text.assemble((str(told.day), "bold"), " ", (_STATE[told.state], _STYLES.get(told.state, "bold yellow")), self._revision())
        yield Text(" ".join(self._sentences()))
        yield self._facts()
        sections = [self._numbers(width), self._changes(width), self._offsets(width)]
        sections += [self._events(width), self._first_days(width), self._kept(width)]
        yield from (Padding(section, (1, 0, 0, 0)) for section in sections if section is not None)

    def _revision(self) -> str:
        return f", revision {self._told.revision}" if self._told.revision is not None else ""

    def _sentences(self) -> Iterable[str]:
        """What a reader who knows nothing of the day has to know first."""
        told = self._told
        until = f"the watermark passes {moment(told.closes_at)} UTC; it stands at {moment(told.watermark) or 'nothing'}."
        match told.state:
            case DayState.NONE:
                yield f"The file has days from {told.first_day} to {told.last_day}." if told.first_day else "The file has no day yet."
                if told.is_past_retention:
                    yield "Retention has passed this one: an event for it expires."
                elif told.is_past:
                    yield "The watermark has passed this one: an event for it is late."
                else:
                    yield f"An event for this one is on time until {until}"
            case DayState.OPEN:
                yield f"Its numbers grow as events come, and none of these is late. It closes when {until}"
            case _ if not told.commits:
                yield "Its numbers are as at closing: nothing that counts has come since."
            case _:
                yield f"It has changed since it closed, in {count(told.commits)} commit{'s' if told.commits > 1 else ''}."
        if told.state is DayState.SEALED:
            yield "Retention has dropped its rows: its numbers and the ledger stay, its late events can't be listed, and new ones expire."

    def _facts(self) -> RenderableType:
        told = self._told
        committed = f", committed {moment(told.changed_at)} UTC" if told.revision == 1 else ""
        facts = {
            "closed": f"when the watermark was {moment(told.closed_at)} UTC{committed}" if told.closed_at else "",
            "changed": f"by commits from {moment(told.first_remerge_at)} to {moment(told.last_remerge_at)} UTC" if told.commits else "",
            "lasted": f"{moment(told.begins_at)} to {moment(told.ends_at)} UTC, in {told.reporting_time_zone}",
        }
        made = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        made.add_column(style="dim", no_wrap=True)
        made.add_column(overflow="fold")
        for name, text in facts.items():
            if text:
                made.add_row(name, Text(text))
        return made

    def _numbers(self, width: int) -> RenderableType | None:
        numbers = [number for number in self._told.numbers if number.at_closing or number.change or number.now]
        if self._told.state is DayState.OPEN:
            made = formats.table(width, left=["sum"], right=["until now"])
            for number in numbers:
                made.add_row(*cells(_measure(number), _amount(number, number.now)))
        else:
            made = formats.table(width, left=["sum"], right=["at closing", "change", "now"])
            for number in numbers:
                change = _amount(number, number.change, is_signed=True)
                values = cells(_measure(number), _amount(number, number.at_closing), change, _amount(number, number.now))
                made.add_row(*values, style="" if number.change else "dim")
        return made if numbers else None

    def _changes(self, width: int) -> RenderableType | None:
        changes = self._told.changes
        right = ["commits", "new", "updates", "touchpoints", "orders", "net"]
        made = formats.table(width, left=["hour of commit", "by"], right=right)
        for each in changes:
            net = "\n".join(f"{money(sales.net_cents, sales.currency, is_signed=True)} {shown(sales.currency)}" for sales in each.sales)
            late = count(each.commits), count(each.late_new), count(each.late_update)
            made.add_row(*cells(_hour(each), each.reason, *late, signed(each.touchpoints), signed(each.orders), Text(net or "0")))
        return made if changes else None

    def _offsets(self, width: int) -> RenderableType | None:
        changes, more = self._told.changes, self._told.changes_found - len(self._told.changes)
        made = formats.table(width, left=["hour of commit", "by"], last="offsets")
        for each in changes:
            ranges = ", ".join(_range(offsets) for offsets in each.offsets)
            made.add_row(*cells(_hour(each), each.reason, ranges or _without_offsets(each)))
        rest = [Text(f"and {count(more)} earlier hours; --limit shows more", style="dim")] if more else []
        return Group(made, *rest) if changes else None

    def _events(self, width: int) -> RenderableType | None:
        events = self._told.events
        if not events:
            return None
        made = _event_lines(width, [(event, _described(event)) for event in events])
        return Group(_listed("Late events", len(events), self._told.events_found), made)

    def _first_days(self, width: int) -> RenderableType | None:
        moves = self._told.first_days
        if not moves:
            return None
        made = _event_lines(width, [(move, _moved(move)) for move in moves])
        title = "Events of earlier days that moved a customer's first day"
        return Group(_listed(title, len(moves), self._told.first_days_found), made)

    def _kept(self, width: int) -> RenderableType | None:
        kept = self._told.kept
        made = formats.table(width, left=["set aside", "stream", "reason"], right=["messages", "unresolved"], last="the first")
        for each in kept:
            made.add_row(*cells(each.outcome, each.stream, each.reason, count(each.messages), count(each.unresolved), each.place))
        note = Text("Rejected messages have no day: these were sent on it.", style="dim")
        is_rejected = any(each.outcome == "rejected" for each in kept)
        return (Group(made, note) if is_rejected else made) if kept else None


def _measure(number: Number) -> str:
    name = number.measure.removesuffix("_cents")
    return f"{name}, {number.currency}" if number.currency else name


def _amount(number: Number, amount: int, *, is_signed: bool = False) -> str:
    if number.measure.endswith("_cents"):
        return money(amount, number.currency or "", is_signed=is_signed)
    return signed(amount) if is_signed else count(amount)


def _hour(change: Change) -> str:
    return f"{change.ingestion_hour:%Y-%m-%d %H}:00"


def _range(offsets: Offsets) -> str:
    last = f"-{count(offsets.last_offset)}" if offsets.last_offset > offsets.first_offset else ""
    return f"{offsets.topic}/{offsets.partition} {count(offsets.first_offset)}{last}"


def _without_offsets(change: Change) -> str:
    if change.late_new or change.late_update:
        return "none: rows of a file, or a tombstone"
    return "none: an event of another day moved a customer's first day, or a product's stock was read"


def _place(event: LateEvent | FirstDayMove) -> str:
    return f"{event.topic}/{event.partition} @ {count(event.offset)}" if event.partition >= 0 else "a file"


def _described(event: LateEvent) -> str:
    amount = money(event.amount_cents, event.currency) + f" {event.currency}" if event.amount_cents is not None else ""
    match event.kind:
        case "touchpoint":
            whose = f" of {event.customer_id}" if event.customer_id else ""
            return f"{event.what} {event.id}{whose}, {event.channel}" + (f", cost {amount}" if amount else "")
        case "tombstone":
            return f"tombstone of {event.what} order {event.id} of {event.customer_id}, net {amount}"
        case _:
            return f"{event.what} order {event.id} of {event.customer_id}, net {amount}" + ("" if event.counted else ", not counted")


def _moved(move: FirstDayMove) -> str:
    moved = {"new_customers": move.new_customers, "new_buyers": move.new_buyers}
    effect = ", ".join(f"{name} {signed(number)}" for name, number in moved.items() if number)
    return f"{effect}: {move.what} {move.kind} {move.id} of {move.customer_id} on {move.day}"


def _listed(title: str, listed: int, found: int) -> Text:
    rest = f": {count(listed)} of {count(found)}; --limit shows more" if listed < found else ""
    return Text.assemble((f"{title}, newest first", "bold"), rest)


def _event_lines(width: int, events: Iterable[tuple[LateEvent | FirstDayMove, str]]) -> RenderableType:
    """When it was committed, where it stands, when it had happened, what it is: one line an event where there is room, else two."""
    if width >= _ONE_LINE:
        made = formats.table(width, left=["committed", "from", "came after", "happened"], last="event")
        for event, text in events:
            made.add_row(*cells(_committed(event), _place(event), _late(event), moment(event.event_time), text))
        return made
    lines = Table.grid()
    for event, text in events:
        came = f"{_late(event)} after {moment(event.event_time)}" if event.ingested_at else f"happened {moment(event.event_time)}"
        lines.add_row(Text(f"{_committed(event)}  {shown(_place(event))}  {came}", style="dim"))
        lines.add_row(Padding(Text(shown(text)), (0, 0, 0, 4)))
    return lines


def _committed(event: LateEvent | FirstDayMove) -> str:
    return moment(event.ingested_at) or "not known"


def _late(event: LateEvent | FirstDayMove) -> str:
    return lasting((event.ingested_at - event.event_time).total_seconds()) if event.ingested_at else ""
