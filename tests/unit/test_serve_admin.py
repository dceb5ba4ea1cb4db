"""The admin socket, over real sockets: who may ask, what comes back, and what a wrong or broken client can do."""

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from worker.errors import ExitCode, StoreError, TidemarkError, Unavailable
from worker.serve.admin import AdminServer, NoWorker, ask
from worker.serve.query import QueryError

ROWS = pa.table({"day": ["2026-03-01", "2026-03-02"], "net_cents": [1, None]})


def refuse(arguments: Mapping[str, Any]) -> Any:
    raise QueryError("no", "ask better")


def lose_the_file(arguments: Mapping[str, Any]) -> Any:
    raise StoreError("disk full", "free some")


def fail(arguments: Mapping[str, Any]) -> Any:
    raise ZeroDivisionError("a bug")


OPERATIONS = {
    "echo": lambda arguments: arguments,
    "rows": lambda arguments: ROWS,
    "no_rows": lambda arguments: ROWS.slice(0, 0),
    "many_rows": lambda arguments: pa.table({"n": range(500_000)}),
    "refuse": refuse,
    "lose_the_file": lose_the_file,
    "fail": fail,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.duckdb.sock"


@pytest.fixture
def server(path: Path) -> Iterator[AdminServer]:
    with AdminServer(path, OPERATIONS) as server:
        yield server


def sent(path: Path, request: bytes) -> bytes:
    """The raw answer to raw bytes."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_an_operation_answers_with_json(server: AdminServer, path: Path) -> None:
    arguments = {"sql": "select 'ü\n'", "limit": 1, "nothing": None}
    assert ask(path, "echo", arguments) == arguments


def test_an_operation_answers_with_rows(server: AdminServer, path: Path) -> None:
    assert ask(path, "rows").equals(ROWS)
    assert ask(path, "no_rows").schema == ROWS.schema
    assert ask(path, "many_rows").num_rows == 500_000


def test_only_the_owner_may_ask(server: AdminServer, path: Path) -> None:
    mode = path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_making_the_socket_leaves_the_umask_as_it_was(path: Path) -> None:
    before = os.umask(0o022)
    try:
        AdminServer(path, OPERATIONS).close()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("operation", "kind", "exit_code"),
    [("refuse", TidemarkError, ExitCode.USAGE), ("lose_the_file", StoreError, ExitCode.STORE)],
)
def test_an_error_comes_over_with_its_remedy_and_exit_code(
    server: AdminServer, path: Path, operation: str, kind: type[TidemarkError], exit_code: ExitCode
) -> None:
    with pytest.raises(kind) as caught:
        ask(path, operation)
    assert caught.value.exit_code is exit_code
    assert (caught.value.message, caught.value.remedy) in {("no", "ask better"), ("disk full", "free some")}


def test_a_bug_in_an_operation_is_told_and_ends_nothing(server: AdminServer, path: Path) -> None:
    with pytest.raises(TidemarkError, match="ZeroDivisionError: a bug"):
        ask(path, "fail")
    assert ask(path, "echo") == {}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (b"", "cut off"),
        (b'{"operation": "echo"', "cut off"),
        (b"x" * 1024 * 1024, "cut off, or longer than"),
        (b"no json\n", "not a JSON object"),
        (b"[1]\n", "not a JSON object"),
        (b"[" * 100_000 + b"\n", "not a JSON object"),
        (b"\xff\xfe\n", "not a JSON object"),
        (b'{"operation": "echo", "arguments": 3}\n', "arguments are not"),
        (b'{"operation": ["echo"], "arguments": {}}\n', "not a JSON object"),
        (b'{"operation": "drop", "arguments": {}}\n', "knows no operation or argument 'drop'; its operations: echo, fail,"),
    ],
)
def test_a_wrong_request_is_refused(server: AdminServer, path: Path, request_: bytes, message: str) -> None:
    error = json.loads(sent(path, request_))["error"]
    assert message in error["message"]
    assert error["exit_code"] == ExitCode.USAGE


def test_a_client_that_goes_away_ends_nothing(server: AdminServer, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b'{"operation": "many_rows", "arguments": {}}\n')
    assert ask(path, "echo") == {}


def test_more_requests_at_once_than_there_are_places_are_turned_away(path: Path) -> None:
    entered, leave = threading.Semaphore(0), threading.Event()

    def hold(arguments: Mapping[str, Any]) -> Any:
        entered.release()
        leave.wait()

    with AdminServer(path, {"hold": hold}):
        threads = [threading.Thread(target=ask, args=(path, "hold"), daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in threads:
            entered.acquire()
        with pytest.raises(Unavailable, match="8 requests already"):
            ask(path, "hold", {"much": "x" * 1_000_000})  # more than the socket takes before the worker hangs up
        leave.set()
        for thread in threads:
            thread.join()


def test_who_waits_for_an_answer_when_the_worker_stops_is_told_so(path: Path) -> None:
    begun, interrupted = threading.Event(), threading.Event()

    def hold(arguments: Mapping[str, Any]) -> Any:
        begun.set()
        interrupted.wait()
        raise RuntimeError("Query interrupted")

    with ThreadPoolExecutor() as threads, AdminServer(path, {"hold": hold}, interrupted.set) as server:
        waiting = threads.submit(ask, path, "hold")
        begun.wait()
        server.close()
        assert not server._server.answering
        with pytest.raises(Unavailable, match="the worker stops"):
            waiting.result()


def test_who_asks_for_nothing_does_not_hold_up_the_end(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent, AdminServer(path, OPERATIONS) as server:
        silent.connect(str(path))
        while not server._server.answering:
            time.sleep(0.01)
        server.close()
        with silent.makefile() as answer:
            assert json.loads(answer.readline())["error"]["message"] == "the worker stops"


def test_where_no_worker_runs_the_remedy_says_so(path: Path) -> None:
    with pytest.raises(NoWorker, match=r"no worker answers there: No such file or directory\nStart it: tidemark run"):
        ask(path, "echo")


def test_a_worker_that_does_not_answer_is_not_waited_for_for_ever(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(Unavailable, match=r"did not answer within 0\.05 s"):
            ask(path, "echo", seconds=0.05)


@pytest.mark.parametrize(
    ("answer", "message"), [(b"HTTP/1.1 400 \r\n", "is no tidemark worker"), (b'{"rows": tr', "hung up"), (b"", "hung up")]
)
def test_a_strange_answer_is_said_to_be_one(path: Path, answer: bytes, message: str) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(path))
        stranger.listen()

        def reply() -> None:
            connection, _ = stranger.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=reply, daemon=True)
        thread.start()
        with pytest.raises(TidemarkError, match=message):
            ask(path, "echo")
        thread.join()


def test_the_socket_of_a_killed_worker_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    with pytest.raises(NoWorker, match="Connection refused"):
        ask(path, "echo")
    with AdminServer(path, OPERATIONS):
        assert ask(path, "echo") == {}
    assert not path.exists()


def test_the_socket_of_a_running_worker_is_left_alone(server: AdminServer, path: Path) -> None:
    with pytest.raises(StoreError, match="another worker listens there"):
        AdminServer(path, OPERATIONS)
    assert ask(path, "echo") == {}


def test_a_file_in_the_sockets_place_is_left_alone(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(StoreError, match="is no socket"):
        AdminServer(path, OPERATIONS)
    assert path.read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_a_path_longer_than_a_socket_may_have_works_all_the_same(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30)
    directory.mkdir()
    path = directory / "shop.duckdb.sock"
    with AdminServer(path, OPERATIONS):
        assert ask(path, "echo") == {}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(StoreError, match="another worker listens"):
            AdminServer(path, OPERATIONS)


def test_a_name_longer_than_a_socket_may_have_is_said(tmp_path: Path) -> None:
    with pytest.raises(TidemarkError, match=r"too long for a socket's path\nChoose a serve\.admin_socket of at most 103 bytes"):
        AdminServer(tmp_path / ("long" * 30), OPERATIONS)
