"""A small HTTP server that answers as a schema registry does."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NOT_FOUND = {"error_code": 40401, "message": "not found"}


class FakeRegistry(ThreadingHTTPServer):
    """`answers`: by path, the JSON of an answer; of anything else it says that it is not found. `asked`: the requests so far.

    status, date: what every answer has instead of its own, where they are set.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.status: int | None = None
        self.date: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def register(self, subject: str, schema: Mapping[str, Any], schema_id: int, version: int = 1, rule: str = "BACKWARD") -> None:
        """The subject's newest version, found by its id too."""
        newest = {"subject": subject, "version": version, "id": schema_id, "schema": json.dumps(schema)}
        self.answers[f"/subjects/{subject}/versions/latest"] = newest
        self.answers[f"/config/{subject}?defaultToGlobal=true"] = {"compatibilityLevel": rule}
        self.answers[f"/schemas/ids/{schema_id}"] = {"schema": newest["schema"]}


class _Handler(BaseHTTPRequestHandler):
    server: FakeRegistry

    def do_GET(self) -> None:
        self.server.asked.append(f"GET {self.path}")
        answer = self.server.answers.get(self.path)
        self.send_response_only(self.server.status or (200 if answer else 404))
        self.send_header("Date", self.server.date or self.date_time_string())
        self.end_headers()
        self.wfile.write(json.dumps(answer or NOT_FOUND).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def fake_registry() -> Iterator[FakeRegistry]:
    """A registry that lives as long as the block."""
    with FakeRegistry() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
