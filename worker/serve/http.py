"""Metrics, health and status over HTTP, from threads of their own: a busy worker is seen too."""

import json
import socket
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from worker.config import Serve
from worker.errors import ConfigError
from worker.serve.status import StatusProvider

log = structlog.get_logger(__name__)


class Answer(NamedTuple):
    """What a route says."""

    code: HTTPStatus
    content_type: str
    body: bytes


Route = Callable[[str], Answer]  # the Accept header -> the answer


class HttpServer:
    """Serves /metrics, /healthz, /readyz and /status until closed; a context manager."""

    def __init__(self, settings: Serve, registry: CollectorRegistry, provider: StatusProvider) -> None:
        """Bind and start. Raises ConfigError where the address can't be had."""
        routes = _routes(registry, provider, settings.tick_timeout)
        try:
            self._server = _Server(settings.host, settings.port, routes)
        except OSError as error:
            place = f"serve.host {settings.host}, serve.port {settings.port}"
            raise ConfigError(f"{place}: can't listen there: {error.strerror}", "Choose another port; 0 takes any free one.") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="http", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        text = str(host)
        return f"http://[{text}]:{port}" if ":" in text else f"http://{text}:{port}"

    def close(self) -> None:
        """Stop listening. May be called twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> "HttpServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _routes(registry: CollectorRegistry, provider: StatusProvider, tick_timeout: timedelta) -> dict[str, Route]:
    def metrics(accept: str) -> Answer:
        encode, content_type = choose_encoder(accept)
        return Answer(HTTPStatus.OK, content_type, encode(registry))

    def healthz(_accept: str) -> Answer:
        silent = provider.seconds_since_tick()
        is_stalled = silent > tick_timeout.total_seconds()
        return _health([f"the worker's loop has stood still for {silent:.0f} s"] if is_stalled else [])

    def readyz(_accept: str) -> Answer:
        return _health(list(provider.status().not_ready))

    def status(_accept: str) -> Answer:
        return _json(HTTPStatus.OK, provider.status().as_json())

    return {"/metrics": metrics, "/healthz": healthz, "/readyz": readyz, "/status": status}


def _health(reasons: list[str]) -> Answer:
    code = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    return _json(code, {"ok": not reasons, "reasons": reasons})


def _json(code: HTTPStatus, value: Any) -> Answer:
    return Answer(code, "application/json", json.dumps(value, ensure_ascii=False).encode() + b"\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, routes: dict[str, Route]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.routes = routes
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """As TCPServer does: HTTPServer also asks the DNS for the host's name, which can take long."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, _request: Any, client_address: Any) -> None:
        """A client that went away, or a bug of a route: logged, and the worker goes on."""
        log.warning("http_request_failed", client=str(client_address[0]), error=repr(sys.exception()))


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # seconds that a client may keep a thread waiting

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class finds wrong with a request; a method without a do_.. is 501 to it."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            answer = _json(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "only GET and HEAD are answered"})
            self._send(answer, with_body=True, headers={"Allow": "GET, HEAD", "Connection": "close"})
        else:
            super().send_error(code, message, explain)

    def _answer(self, *, with_body: bool) -> None:
        route = self.server.routes.get(self.path.partition("?")[0])
        unknown = _json(HTTPStatus.NOT_FOUND, {"error": "there is no such page", "pages": sorted(self.server.routes)})
        self._send(route(self.headers.get("Accept", "")) if route else unknown, with_body=with_body)

    def _send(self, answer: Answer, *, with_body: bool, headers: dict[str, str] | None = None) -> None:
        self.send_response(answer.code)
        fixed = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body)), "Cache-Control": "no-store"}
        for name, value in {**fixed, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def version_string(self) -> str:
        return "tidemark"

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("http_answered", client=self.client_address[0], answer=format % args)
