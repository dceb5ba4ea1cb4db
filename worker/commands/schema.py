"""tidemark schema: can the worker read what a writer's schema writes?"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from worker.commands import AsJson, Sources, print_json_lines, shown
from worker.commands.findings import print_findings, refuse_problems
from worker.config import Settings
from worker.decode.framing import SchemaRef
from worker.decode.registry import RegistrySchemas
from worker.decode.schemas import NoSchema
from worker.doctor import Finding, Level
from worker.doctor.findings import counted
from worker.doctor.messages import named_schemas
from worker.doctor.registry import RegistryProbe, subject_of
from worker.doctor.roundtrip import SelfCheck, self_check, self_check_finding
from worker.doctor.schema import SchemaVerdict, examined, stream_of
from worker.errors import ConfigError, SourceError, Unavailable
from worker.events import Stream
from worker.log import redacted

app = typer.Typer(no_args_is_help=True, help="Writers' schemas: check.")


@app.callback()
def _schema() -> None:
    """Keeps `check` a command of its own, although it is the only one."""


class Candidate(NamedTuple):
    """A schema to be checked: where it comes from, its JSON text or why there is none, its stream where that is known."""

    name: str
    text: str | NoSchema
    stream: Stream | None


@app.command()
def check(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(help="Avro schemas (.avsc). None: what the registry, or registry.files, has.")
    ] = None,
    stream: Annotated[Stream | None, typer.Option(help="What it is read as. Default: by the record's name.")] = None,
    registry: Annotated[bool, typer.Option("--registry", help="Beside the files, also what the registry has.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say field by field what becomes of the messages that a schema writes, before it is registered. Exit code 5 if one can't be read."""
    settings = context.ensure_object(Sources).settings()
    candidates = [Candidate(str(file), _read(file), stream) for file in files or ()]
    if registry or not files:
        candidates += _registered(settings, stream)
    if not candidates:
        raise ConfigError("there is no schema to check", "Name files, or set registry.url or registry.files.")
    findings = [finding for candidate in candidates for finding in _checked(candidate, as_json=as_json)]
    refuse_problems(findings, "there are schemas that can't be read")


def _checked(candidate: Candidate, *, as_json: bool) -> list[Finding]:
    if isinstance(candidate.text, NoSchema):
        verdict = SchemaVerdict(candidate.stream, Level.PROBLEM, f"refused: {candidate.text.detail}", "Register a plain Avro schema.")
    else:
        verdict = examined(candidate.text, candidate.stream)
    check = None
    if isinstance(candidate.text, str) and verdict.stream is not None and verdict.level is not Level.PROBLEM:
        check = self_check(candidate.text, verdict.stream)
    findings = [*verdict.findings(), *([self_check_finding(check)] if check else [])]
    if as_json:
        print_json_lines([_plain(candidate, verdict, check)])
    else:
        typer.echo(f"{shown(candidate.name)}{f' as {verdict.stream}' if verdict.stream else ''}")
        print_findings(findings)
        typer.echo()
    return [Finding(candidate.name, finding.level, finding.found) for finding in findings]


def _plain(candidate: Candidate, verdict: SchemaVerdict, check: SelfCheck | None) -> dict[str, Any]:
    return {"schema": candidate.name, **asdict(verdict), "self_check": asdict(check) if check else None}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} can't be read: {error}", "Name readable files of Avro schemas in JSON.") from None


def _registered(settings: Settings, stream: Stream | None) -> Iterator[Candidate]:
    """Without a registry its files; else the newest schema of each stream's subject, and those that the last messages name."""
    if settings.registry.url is None:
        texts = {f"id {name}, {file}": _read(file) for name, file in settings.registry.files.items()}
        yield from (Candidate(name, text, None) for name, text in texts.items() if stream in (None, stream_of(text)))
        return
    topics = {each: topic for each, topic in settings.kafka.topics.items() if stream in (None, each)}
    with closing(RegistryProbe(settings.registry)) as probe:
        newest = {each: latest for each, topic in topics.items() if (latest := probe.latest(subject_of(topic)))}
    for each, latest in newest.items():
        yield Candidate(f"{latest.subject} version {latest.version}, id {latest.id}", latest.text, each)
    named = _named(settings)
    with closing(RegistrySchemas(settings.registry)) as schemas:
        for each, topic in topics.items():
            for ref, count in named.get(each, {}).items():
                if each not in newest or ref != newest[each].id:
                    yield Candidate(f"id {ref}, named by {counted(count, 'message')} of {topic}", schemas.text(ref), each)


def _named(settings: Settings) -> Mapping[Stream, Mapping[SchemaRef, int]]:
    try:
        return named_schemas(settings.kafka)
    except (Unavailable, SourceError) as error:
        typer.echo(f"The schemas that messages name are not looked at: {redacted(error.message)}", err=True)
        return {}
