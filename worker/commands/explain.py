"""tidemark explain: why a past day's numbers changed."""

from datetime import date
from typing import Annotated

import typer

from worker.commands import AsJson, Sources, print_json_lines
from worker.commands.explain_view import ExplanationView
from worker.commands.explanation import explained
from worker.commands.formats import screen
from worker.errors import ConfigError

_EARLIEST, _LATEST = date(1980, 1, 1), date(2100, 1, 1)


def explain(
    context: typer.Context,
    day: Annotated[str, typer.Argument(metavar="DAY", help="A day in the reporting time zone, e.g. 2026-03-05.")],
    limit: Annotated[int, typer.Option(min=1, help="So many events at most, the newest.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Why a past day's numbers changed: at closing and now, the ledger's changes and their offsets, the late events, what was set aside."""
    explanation = explained(context.ensure_object(Sources).settings(), _day(day), limit)
    if as_json:
        print_json_lines([explanation.model_dump(mode="json")])
    else:
        screen().print(ExplanationView(explanation))


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text} is not a day", "Write it as 2026-03-05.") from None
    if not _EARLIEST <= day < _LATEST:
        raise ConfigError(f"{text}: no event of such a day is accepted", f"Days are from {_EARLIEST} to {_LATEST}.")
    return day
