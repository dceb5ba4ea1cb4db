"""The pages as a probe, Prometheus or a person asks for them, over real sockets."""

import http.client
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from worker.config import Serve
from worker.errors import ConfigError
from worker.metrics import Metrics, SourceState
from worker.serve.http import HttpServer
from worker.serve.status import PartitionStatus, Status, StatusBoard


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> StatusBoard:
    return StatusBoard(clock)


@pytest.fixture
def server(board: StatusBoard) -> Iterator[HttpServer]:
    with HttpServer(Serve(port=0, tick_timeout=timedelta(seconds=60)), Metrics().registry, board) as server:
        yield server


def asked(server: HttpServer, path: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def test_metrics_are_what_prometheus_reads(server: HttpServer) -> None:
    code, headers, body = asked(server, "/metrics")
    assert (code, headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
    assert "tidemark_build_info" in {family.name for family in text_string_to_metric_families(body.decode())}
    _, headers, body = asked(server, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_the_worker_is_healthy_while_its_loop_ticks(server: HttpServer, board: StatusBoard, clock: Clock) -> None:
    assert asked(server, "/healthz")[0] == 200
    clock.now += 61
    code, _, body = asked(server, "/healthz")
    assert (code, json.loads(body)) == (503, {"ok": False, "reasons": ["the worker's loop has stood still for 61 s"]})
    board.tick()
    assert asked(server, "/healthz")[0] == 200


def test_the_worker_is_ready_once_nothing_stands_in_its_way(server: HttpServer, board: StatusBoard) -> None:
    code, _, body = asked(server, "/readyz")
    assert (code, json.loads(body)) == (503, {"ok": False, "reasons": ["starting"]})
    board.publish(Status(not_ready=()))
    code, _, body = asked(server, "/readyz")
    assert (code, json.loads(body)) == (200, {"ok": True, "reasons": []})


def test_the_status_is_the_last_snapshot(server: HttpServer, board: StatusBoard) -> None:
    partition = PartitionStatus(topic="orders", partition=0, next_offset=90, log_end_offset=100, offset_lag=10)
    watermark = datetime(2026, 3, 1, 12, tzinfo=UTC)
    board.publish(Status(state=SourceState.READING, watermark=watermark, partitions=(partition,)))
    code, headers, body = asked(server, "/status")
    assert (code, headers["Content-Type"], headers["Server"]) == (200, "application/json", "tidemark")
    status = json.loads(body)
    assert (status["state"], status["watermark"]) == ("reading", "2026-03-01T12:00:00Z")
    assert status["partitions"] == [{"topic": "orders", "partition": 0, "next_offset": 90, "log_end_offset": 100, "offset_lag": 10}]
    assert Status.model_validate_json(body) == board.status()


def test_head_is_get_without_the_body(server: HttpServer) -> None:
    code, headers, body = asked(server, "/healthz?verbose", "HEAD")
    assert (code, int(headers["Content-Length"]) > 0, body) == (200, True, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_nothing_but_get_and_head_is_answered(server: HttpServer, method: str) -> None:
    code, headers, _ = asked(server, "/status", method)
    assert (code, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/../etc/passwd"])
def test_an_unknown_page_names_those_that_there_are(server: HttpServer, path: str) -> None:
    code, _, body = asked(server, path)
    assert (code, json.loads(body)["pages"]) == (404, ["/healthz", "/metrics", "/readyz", "/status"])


def test_a_silent_client_holds_nobody_up(server: HttpServer) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname or "", address.port or 0)):
        assert asked(server, "/healthz")[0] == 200


def test_a_port_that_is_taken_is_said_with_its_remedy(server: HttpServer, board: StatusBoard) -> None:
    port = urlsplit(server.url).port or 0
    with pytest.raises(ConfigError, match=rf"serve\.port {port}: can't listen there: Address already in use"):
        HttpServer(Serve(port=port), Metrics().registry, board)


def test_a_closed_server_listens_no_more(server: HttpServer) -> None:
    server.close()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        asked(server, "/healthz")
