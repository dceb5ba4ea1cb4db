"""Schemas from a registry: a small HTTP server that answers as a registry does, or does not."""

import base64
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from worker.config import Registry
from worker.decode import registry
from worker.decode.reasons import Reason
from worker.decode.registry import UNKNOWN_SECONDS, RegistrySchemas, schema_source
from worker.decode.schemas import FileSchemas, NoSchema
from worker.errors import ConfigError, Fatal, Unavailable

GUID = UUID("01234567-89ab-cdef-0123-456789abcdef")
NOT_FOUND = 404, '{"error_code": 40403, "message": "Schema not found"}'


class Server(ThreadingHTTPServer):
    """Answers by path; what it was asked for, with the Authorization header, is in `asked`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, str]] = {}
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/base"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = self.path.removeprefix("/base")
        self.server.asked.append((path, self.headers["Authorization"]))
        status, body = self.server.answers.get(path, NOT_FOUND)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Hours:
    """A monotonic clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def schemas(server: Server, clock: Hours | None = None, **settings: object) -> RegistrySchemas:
    given = Registry.model_validate({"url": server.url, "timeout": timedelta(seconds=5)} | settings)
    return RegistrySchemas(given, monotonic=clock or Hours(), sleep=lambda _: None)


def test_a_schema_is_found_by_its_id_and_by_its_guid(server: Server) -> None:
    server.answers = {
        "/schemas/ids/7": (200, json.dumps({"schema": '"int"'})),
        f"/schemas/guids/{GUID}": (200, json.dumps({"schema": '"long"'})),
    }
    assert [schemas(server).text(7), schemas(server).text(GUID)] == ['"int"', '"long"']


def test_an_unknown_schema_is_asked_for_again_only_after_a_while(server: Server) -> None:
    clock = Hours()
    source = schemas(server, clock)
    assert source.text(7) == source.text(7) == NoSchema(Reason.UNKNOWN_SCHEMA, "not in the registry")
    assert len(server.asked) == 1
    clock.now += UNKNOWN_SECONDS
    server.answers["/schemas/ids/7"] = 200, json.dumps({"schema": '"int"'})
    assert source.text(7) == '"int"'


def test_a_schema_is_found_among_any_number_of_unknown_ids(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_UNKNOWN", 50)
    source = schemas(server)
    assert all(isinstance(source.text(number), NoSchema) for number in range(300))
    server.answers["/schemas/ids/300"] = 200, json.dumps({"schema": '"int"'})
    assert source.text(300) == '"int"'
    assert source.text(299) == NoSchema(Reason.UNKNOWN_SCHEMA, "not in the registry")
    assert len(server.asked) == 301, "those asked for last are remembered"


def test_an_id_that_no_registry_gives_is_not_asked_for(server: Server) -> None:
    assert isinstance(schemas(server).text(2**31), NoSchema)
    assert not server.asked


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ({"schema": "{}", "schemaType": "PROTOBUF"}, "its type is PROTOBUF, not AVRO"),
        ({"schema": "{}", "references": [{"name": "A"}]}, "it refers to other schemas, which is not supported: register it written out"),
        ({"schema": "x" * (5 << 20)}, "more than 4,194,304 bytes"),
    ],
)
def test_a_schema_that_can_not_be_used_is_refused(server: Server, answer: dict[str, object], detail: str) -> None:
    server.answers["/schemas/ids/7"] = 200, json.dumps(answer)
    assert schemas(server).text(7) == NoSchema(Reason.REFUSED_SCHEMA, detail)


def test_a_registry_without_guids_does_not_know_the_schema(server: Server) -> None:
    server.answers[f"/schemas/guids/{GUID}"] = 404, "<html>no such page</html>"
    assert isinstance(schemas(server).text(GUID), NoSchema)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_registry_in_trouble_is_away(server: Server, status: int) -> None:
    server.answers["/schemas/ids/7"] = status, ""
    with pytest.raises(Unavailable, match=f"answers {status} to /schemas/ids/7"):
        schemas(server).text(7)
    assert len(server.asked) == 4


def test_a_registry_that_comes_back_answers_the_same_look_up(server: Server) -> None:
    server.answers["/schemas/ids/7"] = 503, ""
    given = Registry.model_validate({"url": server.url})
    back = (200, json.dumps({"schema": '"int"'}))
    source = RegistrySchemas(given, sleep=lambda _: server.answers.update({"/schemas/ids/7": back}))
    assert source.text(7) == '"int"'


def test_a_registry_that_does_not_listen_is_away() -> None:
    given = Registry.model_validate({"url": "http://127.0.0.1:9"})
    with pytest.raises(Unavailable, match=r"registry at http://127.0.0.1:9 is away"):
        RegistrySchemas(given, sleep=lambda _: None).text(7)


@pytest.mark.parametrize("status", [401, 403])
def test_a_registry_that_refuses_us_stops_the_worker(server: Server, status: int) -> None:
    server.answers["/schemas/ids/7"] = status, ""
    with pytest.raises(Fatal, match=f"refuses us: {status}"):
        schemas(server).text(7)
    assert len(server.asked) == 1


@pytest.mark.parametrize(("status", "body"), [(404, "no such page"), (200, "<html>"), (200, "[]"), (302, "")])
def test_what_is_no_registry_stops_the_worker(server: Server, status: int, body: str) -> None:
    server.answers["/schemas/ids/7"] = status, body
    with pytest.raises(Fatal, match=f"answers {status} to /schemas/ids/7, not as a schema registry does"):
        schemas(server).text(7)


def test_it_logs_in_with_a_password_or_a_token(server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    schemas(server, username="me", password=SecretStr("secret")).text(1)
    schemas(server, token_file=tmp_path / "token").text(1)
    schemas(server).text(1)
    basic = "Basic " + base64.b64encode(b"me:secret").decode()
    assert [authorization for _, authorization in server.asked] == [basic, "Bearer t0ken", None]


def test_an_unreadable_certificate_authority_is_a_fault_of_the_configuration(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"registry\.ca_file"):
        schemas(server, ca_file=tmp_path / "none.pem")


def test_files_are_schemas_by_id_and_guid(tmp_path: Path) -> None:
    (tmp_path / "a.avsc").write_text('"int"')
    source = schema_source(Registry.model_validate({"files": {"7": tmp_path / "a.avsc", str(GUID): tmp_path / "a.avsc"}}))
    assert isinstance(source, FileSchemas)
    assert source.text(7) == source.text(GUID) == '"int"'
    assert source.text(8) == NoSchema(Reason.UNKNOWN_SCHEMA, f"not among registry.files (7, {GUID})")


def test_all_faults_of_a_map_of_files_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        FileSchemas({"seven": tmp_path / "a.avsc", "7": tmp_path / "none.avsc"})
    assert raised.value.message == (
        f"registry.files: 'seven' is neither a schema id nor a GUID\nregistry.files.7: {tmp_path / 'none.avsc'}: No such file or directory"
    )
