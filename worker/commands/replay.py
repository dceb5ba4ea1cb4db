"""tidemark replay: read a range of the log again, or rebuild days from it."""

from collections.abc import Mapping
from contextlib import closing
from datetime import date
from typing import Annotated, Any

import typer

from worker.commands import Sources
from worker.commands.changes import show_changes
from worker.commands.days import day_range
from worker.commands.formats import print_rows
from worker.commands.jobs import Detach, submit
from worker.commands.reading import report_rows
from worker.config import Settings
from worker.errors import ConfigError
from worker.events import NextOffset, Partition
from worker.replay import PLAN_COLUMNS, DayOffset, ReplayPlan, ReplayRequest, moment, plan_rebuild, plan_replay
from worker.source import Identity
from worker.source.broker import Broker


def replay(
    context: typer.Context,
    topic: Annotated[list[str] | None, typer.Option(help="Read this topic; may be given several times. Default: all.")] = None,
    partition: Annotated[list[int] | None, typer.Option(help="Read this partition of the topic; may be given several times.")] = None,
    first: Annotated[int | None, typer.Option("--from", metavar="OFFSET", help="The first offset. Default: where the log starts.")] = None,
    end: Annotated[int | None, typer.Option("--to", metavar="OFFSET", help="Read up to the offset before. Default: the position.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="From the first message of this time on (ISO 8601; UTC).")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Up to the first message of this time.")] = None,
    rebuild_days: Annotated[
        str | None, typer.Option(metavar="DAY..DAY", help="Compute these days anew from what fed them, after a fault was mended.")
    ] = None,
    rate: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most so many messages a second.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="On a copy of the file: show what would change, by day and table.")] = False,
    detach: Detach = False,
) -> None:
    """Read what was read once more: what is there stays, what was missed is added. The live stream goes on; the watermark stays."""
    settings = context.ensure_object(Sources).read(check_files=True).settings
    kind = "replay"
    arguments: dict[str, Any] = {"rate": rate}
    if rebuild_days is None:
        request = ReplayRequest(
            tuple(topic or ()), tuple(partition or ()), first, end, moment(since) if since else None, moment(until) if until else None
        )
        plan = _replay_plan(settings, request)
    else:
        if topic or partition or first is not None or end is not None or since or until:
            raise ConfigError("--rebuild-days: the table day_offset says what is read", "Leave out --topic, --partition and the ranges.")
        days = day_range(rebuild_days, "--rebuild-days")
        plan = rebuild_plan(settings, *days)
        kind = "rebuild"
        arguments["days"] = [day.isoformat() for day in days]
    arguments["plan"] = plan.as_json()
    print_rows(PLAN_COLUMNS, plan.rows(), right=PLAN_COLUMNS[1:4])
    if not plan.total and kind == "replay":
        typer.echo("nothing is to be read")
        return
    if dry_run:
        show_changes(settings, kind, arguments)
    else:
        submit(settings, kind, arguments, detach=detach)


def rebuild_plan(settings: Settings, first: date, last: date) -> ReplayPlan:
    """The ranges that fed these days. Raises SourceError where the log has not all of them, ConfigError where nothing fed them."""
    days = {"first": first.isoformat(), "last": last.isoformat()}
    fed_by = [DayOffset(*row.values()) for row in report_rows(settings, "day_offsets", days).to_pylist()]
    if not fed_by:
        raise ConfigError(f"nothing has fed the days {first} to {last}", "tidemark status names the first and the last day.")
    _, identity = _stored(settings)
    with closing(Broker(settings.kafka)) as broker:
        return plan_rebuild(fed_by, broker, identity, settings.kafka.topics.values())


def _replay_plan(settings: Settings, request: ReplayRequest) -> ReplayPlan:
    position, identity = _stored(settings)
    with closing(Broker(settings.kafka)) as broker:
        return plan_replay(request, broker, position, identity, settings.kafka.topics.values())


def _stored(settings: Settings) -> tuple[Mapping[Partition, NextOffset], Identity]:
    """The position as committed, and the log it belongs to. Raises ConfigError where nothing was read yet."""
    rows = report_rows(settings, "position").to_pylist()
    if not rows:
        raise ConfigError(f"{settings.store.path} has no position: nothing was read from a log yet", "Read it first: tidemark run")
    position = {Partition(row["topic"], row["partition"]): NextOffset(row["next_offset"]) for row in rows}
    return position, Identity(rows[0]["cluster_id"], {row["topic"]: row["topic_id"] for row in rows})
