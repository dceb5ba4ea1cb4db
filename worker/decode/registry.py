"""Writer schemas from a registry that speaks the Confluent API."""

import json
import ssl
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import tenacity

from worker.config import Registry
from worker.decode.avro import MAX_TEXT
from worker.decode.framing import SchemaRef
from worker.decode.reasons import Reason
from worker.decode.schemas import FileSchemas, NoSchema, SchemaSource
from worker.errors import ConfigError, SourceError, Unavailable

ATTEMPTS = 4  # at one look-up, before the caller is told that the registry is away
UNKNOWN_SECONDS = 30.0  # for so long an unknown schema is not asked for again
MAX_UNKNOWN = 100_000  # so many are remembered
MAX_ID = (1 << 31) - 1  # ids are Java ints
MAX_BODY = 4 * MAX_TEXT  # bytes of an answer

_REMEDY = "It is asked again until it answers."
_AWAY = frozenset([408, 425, 429, 500, 502, 503, 504])
_REFUSED = frozenset([401, 403, 407])


def schema_source(settings: Registry) -> SchemaSource:
    """The source that the settings name: a registry where there is a url, else files. Raises ConfigError."""
    return RegistrySchemas(settings) if settings.url is not None else FileSchemas(settings.files)


class RegistrySchemas:
    """Look-ups in a registry, a few attempts each, one after the other. What is not there is remembered for a while.

    Every id is asked for, however many unknown ones there are: a good message must not be rejected because of its bad neighbours.
    """

    def __init__(
        self,
        settings: Registry,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`sleep` waits between attempts. Raises ConfigError."""
        assert settings.url is not None
        self._url = settings.url.rstrip("/")
        self._client = http_client(settings)
        self._monotonic = monotonic
        self._missing: dict[SchemaRef, tuple[float, NoSchema]] = {}  # until when; in order of that
        self._attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Unavailable),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=2),
            sleep=sleep,
            reraise=True,
        )

    def text(self, ref: SchemaRef) -> str | NoSchema:
        """See SchemaSource.text."""
        if isinstance(ref, int) and ref > MAX_ID:
            return NoSchema(Reason.UNKNOWN_SCHEMA, "no registry gives such an id")
        self._forget()
        if ref in self._missing:
            return self._missing[ref][1]
        found = self._attempts(self._look_up, ref)
        if isinstance(found, NoSchema):
            self._missing[ref] = self._monotonic() + UNKNOWN_SECONDS, found
        return found

    def close(self) -> None:
        self._client.close()

    def _forget(self) -> None:
        now = self._monotonic()
        while self._missing and (len(self._missing) > MAX_UNKNOWN or next(iter(self._missing.values()))[0] <= now):
            del self._missing[next(iter(self._missing))]

    def _look_up(self, ref: SchemaRef) -> str | NoSchema:
        path = f"/schemas/{'ids' if isinstance(ref, int) else 'guids'}/{ref}"
        answer = ask(self._client, self._url, path)
        if answer.content is None:
            return NoSchema(Reason.REFUSED_SCHEMA, f"more than {MAX_BODY:,} bytes")
        if answer.status == 404 and ("error_code" in answer.content or not isinstance(ref, int)):  # not all registries know GUIDs
            return NoSchema(Reason.UNKNOWN_SCHEMA, "not in the registry")
        if answer.status != 200 or not isinstance(answer.content.get("schema"), str):
            raise no_registry(self._url, answer.status, path)
        return usable(answer.content)


class Answer(NamedTuple):
    """What a registry says. content: the JSON object, empty where it is none, None where it is too large. date: its clock's, as in HTTP."""

    status: int
    content: dict[str, Any] | None
    date: str | None


def ask(client: httpx.Client, url: str, path: str) -> Answer:
    """The answer to a GET. Raises Unavailable where the registry is away, SourceError where it refuses us."""
    try:
        with client.stream("GET", url + path) as response:
            body = _body(response)
    except httpx.RequestError as error:
        raise Unavailable(f"the schema registry at {url} is away: {error or type(error).__name__}", _REMEDY) from error
    if response.status_code in _AWAY:
        raise Unavailable(f"the schema registry at {url} answers {response.status_code} to {path}", _REMEDY)
    if response.status_code in _REFUSED:
        what = f"the schema registry at {url} refuses us: {response.status_code} to {path}"
        raise SourceError(what, "Check registry.username and password, or token.")
    return Answer(response.status_code, None if body is None else _json(body), response.headers.get("date"))


def no_registry(url: str, status: int, path: str) -> ConfigError:
    """What answers there is something else."""
    return ConfigError(
        f"{url} answers {status} to {path}, not as a schema registry does",
        "Check registry.url: it is the base of the Confluent API, before /schemas.",
    )


def http_client(settings: Registry) -> httpx.Client:
    """A client that logs in to the registry as configured. Raises ConfigError."""
    password, token = settings.revealed_password(), settings.revealed_token()
    try:
        verify = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"registry.ca_file: {settings.ca_file}: {error}", "Name a readable file of PEM certificates.") from None
    return httpx.Client(
        auth=httpx.BasicAuth(settings.username, password) if settings.username and password else None,
        headers={"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
        | ({"Authorization": f"Bearer {token}"} if token else {}),
        timeout=settings.timeout.total_seconds(),
        verify=verify,
    )


def _body(response: httpx.Response) -> bytes | None:
    """The answer's bytes, None where there are too many."""
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _json(body: bytes) -> dict[str, Any]:
    """The answer's object; empty where it is none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def usable(answer: dict[str, Any]) -> str | NoSchema:
    """The schema's text in an answer, or why it can't be used."""
    if answer.get("schemaType", "AVRO") != "AVRO":
        return NoSchema(Reason.REFUSED_SCHEMA, f"its type is {answer['schemaType']}, not AVRO")
    if answer.get("references"):
        return NoSchema(Reason.REFUSED_SCHEMA, "it refers to other schemas, which is not supported: register it written out")
    return str(answer["schema"])
