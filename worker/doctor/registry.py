"""The schema registry: does it answer, which schemas it has for our topics, and which changes it lets through."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx

from worker.config import Registry
from worker.decode.reasons import Reason
from worker.decode.registry import Answer, ask, http_client, no_registry, usable
from worker.decode.schemas import FileSchemas, NoSchema
from worker.doctor.findings import Checks, Finding, Level, counted, ok, problem, skipped, warning
from worker.doctor.schema import examined, stream_of
from worker.events import Stream


class Latest(NamedTuple):
    """The newest schema of a subject: its JSON text, or why it can't be used."""

    subject: str
    version: int
    id: int
    text: str | NoSchema


class RegistryProbe:
    """Questions to a registry; close it. Each raises Unavailable, SourceError (refused) or ConfigError (no registry)."""

    def __init__(self, settings: Registry) -> None:
        assert settings.url is not None
        self.url = settings.url.rstrip("/")
        self._client = http_client(settings)
        self._date: str | None = None

    def close(self) -> None:
        self._client.close()

    def date(self) -> datetime | None:
        """What the registry's clock said with its last answer, to the second; not all say it."""
        return parsedate_to_datetime(self._date) if self._date else None

    def latest(self, subject: str) -> Latest | None:
        """None where there is no such subject."""
        answer = self._ask(f"/subjects/{subject}/versions/latest")
        if answer.status == 404:
            return None
        content = answer.content or {}
        text = usable(content) if "schema" in content else NoSchema(Reason.REFUSED_SCHEMA, "the answer has no schema, or is too large")
        return Latest(subject, int(content.get("version", 0)), int(content.get("id", 0)), text)

    def rule(self, subject: str) -> str | None:
        """Which changes of a subject's schema the registry takes: BACKWARD, .. ; None where it does not say."""
        content = self._ask(f"/config/{subject}?defaultToGlobal=true").content or {}
        return content.get("compatibilityLevel")

    def _ask(self, path: str) -> Answer:
        answer = ask(self._client, self.url, path)
        self._date = answer.date
        is_known = answer.status == 200 or (answer.status == 404 and "error_code" in (answer.content or {}))
        if not is_known:
            raise no_registry(self.url, answer.status, path)
        return answer


def subject_of(topic: str) -> str:
    """The subject of a topic's values, as producers name it unless they are told otherwise."""
    return f"{topic}-value"


def registry_checks(settings: Registry, topics: Mapping[Stream, str], now: Callable[[], datetime]) -> Checks[timedelta | None]:
    """Whether schemas can be had, and the newest read. Returns how far this clock is ahead of the registry's, if that says."""
    if settings.url is None:
        yield from _files(settings)
        return None
    yield from _in_clear(settings)
    with closing(RegistryProbe(settings)) as probe:
        newest = {stream: probe.latest(subject_of(topic)) for stream, topic in topics.items()}
        ahead = None if (date := probe.date()) is None else now() - date
        yield ok("registry", f"{probe.url} answers")
        for stream, topic in topics.items():
            latest, subject = newest[stream], subject_of(topic)
            yield schema_finding(stream, latest, subject)
            if latest is not None:
                yield rule_finding(subject, probe.rule(subject))
    return ahead


def schema_finding(stream: Stream, latest: Latest | None, subject: str) -> Finding:
    """Whether the newest schema of a subject can be read."""
    if latest is None:
        return ok("schema", f"there is no subject {subject}; what counts are the ids in the messages of {stream}, see below")
    return text_finding(f"{subject} version {latest.version}, id {latest.id}", stream, latest.text)


def text_finding(name: str, stream: Stream, text: str | NoSchema) -> Finding:
    """The verdict on one schema in a line."""
    if isinstance(text, NoSchema):
        return problem("schema", f"{name}: refused: {text.detail}", "Register a plain Avro schema; until then its messages are rejected.")
    verdict = examined(text, stream)
    more = f"{verdict.remedy}\nField by field: tidemark schema check --stream {stream}".strip()
    return Finding("schema", verdict.level, f"{name}: {verdict.way}", "" if verdict.level is Level.OK else more)


def rule_finding(subject: str, rule: str | None) -> Finding:
    """Whether the registry refuses schemas that the worker could not read."""
    if rule is None:
        return skipped("schema rule", f"{subject}: the registry does not say which changes it takes")
    if rule == "NONE":
        remedy = f'PUT /config/{subject} {{"compatibility": "BACKWARD"}}. And check before registering: tidemark schema check FILE'
        return warning("schema rule", f"{subject}: the registry takes any change (NONE), also one that can't be read", remedy)
    if rule.startswith("BACKWARD"):
        return ok("schema rule", f"{subject}: {rule} lets producers drop any field: check before registering: tidemark schema check FILE")
    return ok("schema rule", f"{subject}: {rule}")


def _in_clear(settings: Registry) -> Iterator[Finding]:
    url = httpx.URL(settings.url or "")
    has_secret = settings.username or settings.token or settings.token_file
    if has_secret and url.scheme == "http" and url.host not in {"localhost", "127.0.0.1", "::1"}:
        yield warning("registry", f"{settings.url}: password or token go there in clear", "Set registry.url to https.")


def _files(settings: Registry) -> Iterator[Finding]:
    if not settings.files:
        remedy = "Set registry.url, or name the schemas that the messages carry: registry.files."
        yield problem("registry", "there is no registry and no schema file: every message would be rejected", remedy)
        return
    FileSchemas(settings.files)  # raises where one can't be read
    yield ok("registry", f"none; schemas come from {counted(len(settings.files), 'file')}")
    for name, path in settings.files.items():
        text = path.read_text(encoding="utf-8")
        stream = stream_of(text)
        if stream is None:
            remedy = "Its messages are rejected. Field by field: tidemark schema check FILE --stream STREAM"
            yield problem("schema", f"id {name}, {path}: {examined(text).way}", remedy)
        else:
            yield text_finding(f"id {name}, {path}", stream, text)
