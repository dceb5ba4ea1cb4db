"""docs/marts.md, written from the definitions: what each mart means, what it reads, what it answers.

What is said there of all marts is dictionary.md, beside this; `<!-- .. -->` on a line of its own is where a generated part belongs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from worker.config import Settings
from worker.marts.definition import Mart, Unit, inputs, ordered
from worker.marts.refresh import Refresher, Request
from worker.source import Identity
from worker.store import Store
from worker.watermark import WatermarkState

Types: TypeAlias = Mapping[str, Mapping[str, str]]

_REFRESHED = {
    Unit.WHOLE: "all rows at each refresh",
    Unit.CUSTOMER: "the rows of customers of whom something has changed",
    Unit.SESSION: "the rows of sessions in which something has changed",
    Unit.DAY: "the rows of days in which something has changed",
    Unit.MONTH: "the rows of months in which something has changed",
    Unit.APPEND: "rows are added, never replaced",
    Unit.MERGE: "by key: the newer version stands, what vanished is marked as deleted",
}


def dictionary(marts: Mapping[str, Mart], settings: Settings) -> str:
    """The whole page, in Markdown. `settings`: those of the families are shown, and bound where types are found out."""
    types, parameters = column_types(marts, settings), settings.marts.parameters()
    sections = {mart.name: _section(mart, types[mart.name], parameters) for mart in ordered(marts.values())}
    public, internal = ([mart for mart in marts.values() if mart.front.internal is is_internal] for is_internal in (False, True))
    parts = {
        "overview": _overview(public),
        "dependencies": "\n\n".join(_diagram(group, marts) for group in _groups(marts)),
        "marts": "\n".join(sections[mart.name] for mart in _by_name(public)),
        "internal marts": "\n".join(sections[mart.name] for mart in _by_name(internal)),
    }
    page = Path(__file__).with_suffix(".md").read_text(encoding="utf-8")
    for name, text in parts.items():
        before, after = page.split(f"<!-- {name} -->")
        page = before + text.strip("\n") + after
    return page


def column_types(marts: Mapping[str, Mart], settings: Settings) -> Types:
    """The SQL types of each mart's columns: as its first refresh makes them, in a file in which nothing has happened.

    Raises as a refresh does.
    """
    first = datetime(2026, 1, 1, tzinfo=UTC)  # any day: nothing happened on it
    with TemporaryDirectory() as directory:
        store_settings = settings.store.model_copy(update={"path": Path(directory) / "types.duckdb"})
        with closing(Store(settings.model_copy(update={"store": store_settings}), first)) as store:
            with store.transaction(first, "live", {}, Identity("none")) as tx:
                tx.save(Identity("none"), {}, WatermarkState({}, None, date(2026, 1, 2)))
            refresher = Refresher(marts, settings.marts.parameters(), settings.reporting_currency)
            for mart in ordered(marts.values()):
                with closing(store.cursor()) as connection:
                    refresher.refresh(connection, mart, Request(), first)
            with closing(store.cursor()) as connection:
                return {name: _described(connection.execute(f'describe "{name}"').fetchall()) for name in marts}


def _described(rows: Iterable[tuple[Any, ...]]) -> dict[str, str]:
    return {name: kind.lower() for name, kind, *_ in rows}


def _by_name(marts: Iterable[Mart]) -> list[Mart]:
    return sorted(marts, key=lambda mart: mart.name)


def _overview(marts: Iterable[Mart]) -> str:
    rows = ((f"[{mart.name}](#{mart.name})", ", ".join(mart.key), mart.purpose.split(". ")[0].rstrip(".")) for mart in _by_name(marts))
    return _table(("mart", "a row for each", "what it says"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *escaped))


def _groups(marts: Mapping[str, Mart]) -> list[list[Mart]]:
    """Marts that depend on each other, by way of others too, in order of refresh; all that stand alone are the last group."""
    group_of = {name: {name} for name in marts}
    for mart in marts.values():
        for read in inputs(mart, marts):
            joined = group_of[mart.name] | group_of[read.name]
            group_of.update(dict.fromkeys(joined, joined))
    found = {frozenset(group): None for _, group in sorted(group_of.items())}
    alone = frozenset().union(*(group for group in found if len(group) == 1))
    return [ordered(marts[name] for name in group) for group in [*(group for group in found if len(group) > 1), alone] if group]


def _diagram(group: Sequence[Mart], marts: Mapping[str, Mart]) -> str:
    """Who reads whom, as Mermaid draws it: tables are drums, state that other marts read is dashed."""
    tables = sorted({read for mart in group for read in mart.reads if read not in marts})
    lines = ["flowchart LR", *(f"  {table}[({table})]" for table in tables)]
    lines += (f"  {mart.name}[{mart.name}]{':::internal' if mart.front.internal else ''}" for mart in group)
    lines += (f"  {read} --> {mart.name}" for mart in group for read in mart.reads if read != mart.name)
    return "\n".join(["```mermaid", *lines, "  classDef internal stroke-dasharray: 4 4", "```"])


def _section(mart: Mart, types: Mapping[str, str], parameters: Mapping[str, Any]) -> str:
    return "\n".join(_lines(mart, types, parameters))


def _lines(mart: Mart, types: Mapping[str, str], parameters: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {mart.name}", "", f"{mart.purpose[0].upper()}{mart.purpose[1:]}", "")
    yield from _facts(mart, parameters)
    if mart.front.formula:
        yield from ("", "```text", mart.front.formula.strip(), "```")
    columns = mart.front.columns.items()
    rows = ((f"**{name}**" if name in mart.key else name, types[name], column.unit, column.about) for name, column in columns)
    yield from ("", _table(("column", "type", "unit", "meaning"), rows), "")
    if mart.front.limits:
        yield from ("Known limits:", "", *(f"- {limit}" for limit in mart.front.limits), "")
    for question in mart.front.questions:
        yield from (question.ask, "", "```sql", question.sql.strip(), "```", "")


def _facts(mart: Mart, parameters: Mapping[str, Any]) -> Iterator[str]:
    yield f"- a row for each: {', '.join(mart.key)}"
    yield f"- reads: {', '.join(mart.reads)}"
    yield f"- {_when(mart)}{f'; rows of sealed days stay (by {mart.front.kept_by})' if mart.front.kept_by else ''}"
    if mart.parameters:
        shown = (f"{name} = {_value(mart.given.get(name, parameters[name]))}" for name in mart.parameters)
        yield f"- settings: {'; '.join(f'`{setting}`' for setting in shown)}"
    if mart.front.audits:
        yield f"- audits: {'; '.join(audit.name.replace('_', ' ') for audit in mart.front.audits)}"


def _when(mart: Mart) -> str:
    if mart.unit is Unit.VIEW:
        return "a view: computed when it is read"
    what = _REFRESHED[mart.unit] + ("; all rows when a day has passed" if mart.front.ages else "")
    return f"refreshed {'when a day closes' if mart.every is None else f'every {mart.front.schedule}'}: {what}"


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value) or "none"
