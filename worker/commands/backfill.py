"""tidemark backfill: bring in what an archive holds."""

from pathlib import Path
from typing import Annotated

import typer

from worker.backfill import ArchivePlan, OriginColumns
from worker.commands import Sources
from worker.commands.changes import show_changes
from worker.commands.days import day_range
from worker.commands.formats import count, counted, print_facts
from worker.commands.jobs import Detach, submit
from worker.errors import ConfigError
from worker.events import Stream
from worker.job_kinds import archive_arguments, archive_plan

_INSERTED = OriginColumns()
_LISTED = 10  # files that are left out


def backfill(
    context: typer.Context,
    from_archive: Annotated[Path, typer.Option("--from-archive", metavar="DIR", help="Files as a Kafka Connect sink writes them.")],
    stream: Annotated[Stream | None, typer.Option(help="All files are of this stream. Default: their names tell.")] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", metavar="STREAM=FILE.sql", help="One SELECT that makes events of another layout.")
    ] = None,
    partition_column: Annotated[str, typer.Option(help="The column with the partition that a row came from.")] = _INSERTED.partition,
    offset_column: Annotated[str, typer.Option(help="The column with its offset.")] = _INSERTED.offset,
    topic_column: Annotated[str, typer.Option(help="The column with its topic.")] = _INSERTED.topic,
    without_offsets: Annotated[
        bool,
        typer.Option("--without-offsets", help="Leave partitions and offsets alone: they are of another cluster or an earlier topic."),
    ] = False,
    days: Annotated[str | None, typer.Option(metavar="DAY..DAY", help="Only events of these days, or of one day.")] = None,
    rebuild_days: Annotated[
        str | None,
        typer.Option(metavar="DAY..DAY", help="Compute these days anew, sealed ones too: the archive must have all of them."),
    ] = None,
    advance_watermark: Annotated[
        bool, typer.Option("--advance-watermark", help="In a file without a live position: close the days that the archive has passed.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="On a copy of the file: show what would change, by day and table.")] = False,
    detach: Detach = False,
) -> None:
    """Merge events from files, by the same checks as the stream's: backfill then stream is the stream alone. Bad rows are rejected."""
    settings = context.ensure_object(Sources).read(check_files=True).settings
    if rebuild_days and (days or advance_watermark):
        raise ConfigError("--rebuild-days stands alone", "Leave out --days and --advance-watermark.")
    mappings = dict(_mapping(text) for text in mapping or ())
    origin = OriginColumns(partition=partition_column, offset=offset_column, topic=topic_column)
    arguments = archive_arguments(from_archive, stream=stream, mappings=mappings, origin=origin, has_offsets=not without_offsets)
    _print_plan(archive_plan(settings, arguments))
    kind = "backfill"
    if rebuild_days:
        kind = "rebuild"
        arguments["days"] = [day.isoformat() for day in day_range(rebuild_days, "--rebuild-days")]
    else:
        arguments["advance_watermark"] = advance_watermark
        arguments["days"] = [day.isoformat() for day in day_range(days, "--days")] if days else None
    if dry_run:
        show_changes(settings, kind, arguments)
    else:
        submit(settings, kind, arguments, detach=detach, creates_file=True)


def _print_plan(plan: ArchivePlan) -> None:
    facts = [
        ("files", count(len(plan.parts))),
        ("rows", "only reading tells" if plan.rows is None else count(plan.rows)),
    ]
    facts += [("left out", path) for path in plan.others[:_LISTED]]
    if (more := len(plan.others) - _LISTED) > 0:
        facts.append(("left out", f"and {counted(more, 'other file')}"))
    print_facts(f"archive {plan.archive.directory}", facts)


def _mapping(text: str) -> tuple[Stream, Path]:
    name, equals, path = text.partition("=")
    if not equals or name not in set(Stream):
        raise ConfigError(f"--map {text}: not STREAM=FILE.sql", f"The streams are {', '.join(Stream)}.")
    return Stream(name), Path(path).resolve()
