"""The admin socket: a Unix socket beside the file, for its owner alone, through which commands reach a running worker.

One request a connection: a line of JSON, {"operation": .., "arguments": {..}}. The answer is a line of JSON, {"result": ..} or
{"error": {exit_code, message, remedy}}; where {"rows": true} is in it, an Arrow stream follows. A snapshot is more of both: after the
result, which is its head, a line {"table": ..} and an Arrow stream for each table, and then {"sums": {..}} or an error.
"""

import json
import os
import socket
import socketserver
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import structlog

from worker.errors import ConfigError, ExitCode, Stopping, StoreError, TidemarkError, Unavailable
from worker.log import redacted
from worker.serve.snapshot import Head, Snapshot, Wanted, summed
from worker.store.backup import TableRows, TableSum
from worker.store.connections import INTERRUPT_SECONDS

log = structlog.get_logger(__name__)

# What an operation does with its arguments; rows, a snapshot, or anything that JSON has. It runs in the connection's thread.
Operation: TypeAlias = Callable[[Mapping[str, Any]], Any]

_MAX_REQUEST_BYTES = 1024 * 1024
_MAX_CONNECTIONS = 8
_CLIENT_SECONDS = 30.0  # how long a client may keep the server waiting
_ENDING_SECONDS = 2.0  # how long a client may keep a server waiting that is closed
_PIECE_SECONDS = 600.0  # how long a client waits for the next piece of a snapshot
_MAX_ADDRESS_BYTES = 103  # macOS has 104 with the closing zero, Linux 108


class NoWorker(Unavailable):
    """Nobody listens at the admin socket."""


class AdminServer:
    """Listens at `path` until closed; a context manager. The socket is its owner's alone (mode 0600) from the first moment."""

    def __init__(self, path: Path, operations: Mapping[str, Operation], interrupt: Callable[[], None] = lambda: None) -> None:
        """Bind and start. `interrupt` ends what operations have under way; it is called again and again until they have ended.

        Raises StoreError where another worker listens or the socket can't be made, ConfigError for a path too long.
        """
        self.path = path
        self._interrupt = interrupt
        _remove_stale(path)
        try:
            self._server = _Server(path, operations)
        except OSError as error:
            raise StoreError(
                f"{path}: the admin socket can't be made: {error.strerror}", "Set serve.admin_socket to another path."
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="admin", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, remove the socket, and tell who waits for an answer that the worker stops. May be called twice."""
        if self._thread.is_alive():
            self._server.is_closing = True
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self.path.unlink(missing_ok=True)
            self._end_answers()

    def _end_answers(self) -> None:
        """An answer that is being sent when the interpreter ends would abort the process. Who does not read his is cut off."""
        self._server.hang_up(socket.SHUT_RD)  # a request that has not come does not come any more
        began = time.monotonic()
        while self._server.answering and (seconds := time.monotonic() - began) < _CLIENT_SECONDS:
            if seconds > _ENDING_SECONDS:
                self._server.hang_up(socket.SHUT_RDWR)
            self._interrupt()
            time.sleep(INTERRUPT_SECONDS)

    def __enter__(self) -> "AdminServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask(path: Path, operation: str, arguments: Mapping[str, Any] | None = None, seconds: float = 30.0) -> Any:
    """The answer of the worker that listens at `path`: a pa.Table, or what JSON has.

    Raises NoWorker: nobody listens there. Unavailable: no answer within `seconds`. What the operation raised is raised here, by exit code.
    """
    with (
        _trouble_told(path, seconds),
        socket.socket(socket.AF_UNIX) as connection,
        _asked(connection, path, operation, arguments or {}, seconds) as answer,
    ):
        line = _read_line(answer, path)
        return pa.ipc.open_stream(answer).read_all() if line.get("rows") else line["result"]


def ask_snapshot(path: Path, wanted: Wanted) -> Snapshot:
    """A snapshot by the worker that listens at `path`. Raises as `ask` does, the errors of reading also while its tables are read."""
    with ExitStack() as stack:
        connection = stack.enter_context(socket.socket(socket.AF_UNIX))
        with _trouble_told(path, _PIECE_SECONDS):
            answer = stack.enter_context(_asked(connection, path, "tables", wanted.model_dump(mode="json"), _PIECE_SECONDS))
            head = Head.model_validate(_read_line(answer, path)["result"])
        sums: dict[str, TableSum] = {}
        return Snapshot(head, _received(answer, path, sums), sums, stack.pop_all().close)


def _asked(connection: socket.socket, path: Path, operation: str, arguments: Mapping[str, Any], seconds: float) -> Any:
    """The file from which the answer can be read."""
    connection.settimeout(seconds)
    _connect(connection, path)
    with suppress(ConnectionError):  # who has no place for us answers at once and hangs up: the answer says why
        connection.sendall(json.dumps({"operation": operation, "arguments": arguments}).encode() + b"\n")
    return connection.makefile("rb")


@contextmanager
def _trouble_told(path: Path, seconds: float) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise StoreError(f"{path}: only the user who runs the worker may ask it", "Run the command as that user.") from None
    except TimeoutError:
        raise Unavailable(f"{path}: the worker did not answer within {seconds:g} s", "Look at its log.") from None
    except OSError as error:
        raise Unavailable(f"{path}: the worker hung up: {error.strerror or error}", "Look at its log.") from None
    except pa.ArrowInvalid:
        raise Unavailable(f"{path}: the worker hung up in the middle of its answer", "Look at its log.") from None


def _connect(connection: socket.socket, path: Path) -> None:
    try:
        with _address(path) as address:
            connection.connect(address)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
        raise NoWorker(f"{path}: no worker answers there: {error.strerror}", "Start it: tidemark run") from None


def _read_line(answer: Any, path: Path) -> Mapping[str, Any]:
    """The next line of the answer. Raises the error that it tells."""
    line = answer.readline()
    if not line.endswith(b"\n"):
        raise Unavailable(f"{path}: the worker hung up", "Look at its log.")
    try:
        head: dict[str, Any] = json.loads(line)
    except ValueError:
        raise StoreError(f"{path}: what answers there is no tidemark worker", "Set serve.admin_socket as the worker has it.") from None
    if error := head.get("error"):
        kind = {ExitCode.UNAVAILABLE: Unavailable, ExitCode.STORE: StoreError}.get(error["exit_code"], TidemarkError)
        raised = kind(error["message"], error["remedy"])
        raised.exit_code = ExitCode(error["exit_code"])
        raise raised
    return head


def _received(answer: Any, path: Path, sums: dict[str, TableSum]) -> Iterator[TableRows]:
    """The tables that follow a snapshot's head; at the end, what came is compared with what was sent."""
    with _trouble_told(path, _PIECE_SECONDS):
        while table := (line := _read_line(answer, path)).get("table"):
            reader = pa.ipc.open_stream(answer)
            yield TableRows(table, reader.schema, summed(table, _pieces(reader, path), sums))
    if line["sums"] != {name: sum_.model_dump() for name, sum_ in sums.items()}:
        raise Unavailable(f"{path}: what came is not what the worker sent", "Try again.")


def _pieces(reader: pa.RecordBatchReader, path: Path) -> Iterator[pa.RecordBatch]:
    with _trouble_told(path, _PIECE_SECONDS):
        yield from reader


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False  # a client that waits must not hold up the worker's end

    def __init__(self, path: Path, operations: Mapping[str, Operation]) -> None:
        self.operations = operations
        self.is_closing = False
        self.places = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self.answering: dict[threading.Thread, socket.socket] = {}
        with _address(path) as address:
            super().__init__(address, _Handler, bind_and_activate=False)
            before = os.umask(0o177)  # bind() makes the socket with this mode; a chmod after it would leave a moment open to others
            try:
                self.server_bind()
            except OSError:
                self.server_close()
                raise
            finally:
                os.umask(before)
        self.server_activate()

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, that is known while it goes on."""
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self.answering[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            del self.answering[threading.current_thread()]

    def hang_up(self, how: int) -> None:
        """On all clients that are being answered."""
        for request in list(self.answering.values()):
            with suppress(OSError):  # he has, himself
                request.shutdown(how)

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """A client that went away: nobody is left to tell."""
        log.info("admin_request_failed", error=repr(sys.exception()))


class _Handler(socketserver.StreamRequestHandler):
    server: _Server
    timeout = _CLIENT_SECONDS

    def handle(self) -> None:
        if not self.server.places.acquire(blocking=False):
            self._fail(Unavailable(f"the worker answers {_MAX_CONNECTIONS} requests already", "Try again."))
            return
        try:
            self._answer()
        finally:
            self.server.places.release()

    def _answer(self) -> None:
        try:
            operation, arguments = self._read_request()
            result = operation(arguments)
        # A bug in one operation is told to who asked, and must not end the worker.
        except Exception as error:
            self._fail(self._told(error))
        else:
            self._send(result)

    def _told(self, error: Exception) -> TidemarkError:
        """As it is told to who asked."""
        if self.server.is_closing:  # and so is the file: what reads it is interrupted
            return Stopping()
        if isinstance(error, TidemarkError):
            return error
        log.error("admin_operation_failed", exc_info=error)
        return TidemarkError(redacted(f"{type(error).__name__}: {error}"), "This is a bug; the worker's log has the traceback.")

    def _read_request(self) -> tuple[Operation, Mapping[str, Any]]:
        line = self.rfile.readline(_MAX_REQUEST_BYTES)
        if not line.endswith(b"\n"):
            raise ConfigError(f"the request is cut off, or longer than {_MAX_REQUEST_BYTES:,} bytes")
        try:
            request = json.loads(line)
            operation, arguments = self.server.operations[request["operation"]], request["arguments"]
        except KeyError as error:
            known = ", ".join(sorted(self.server.operations))
            raise ConfigError(f"the worker knows no operation or argument {error}; its operations: {known}") from None
        except (ValueError, TypeError, RecursionError):
            raise ConfigError("the request is not a JSON object of operation and arguments") from None
        if not isinstance(arguments, dict):
            raise ConfigError("the request's arguments are not a JSON object")
        return operation, arguments

    def _send(self, result: Any) -> None:
        if isinstance(result, Snapshot):
            self._send_snapshot(result)
            return
        if not isinstance(result, pa.Table):
            self._write_line({"result": result})
            return
        self._write_line({"rows": True})
        with pa.ipc.new_stream(self.wfile, result.schema) as writer:
            writer.write_table(result)

    def _send_snapshot(self, snapshot: Snapshot) -> None:
        with closing(snapshot):
            self._write_line({"result": snapshot.head.model_dump(mode="json")})
            try:
                for table in snapshot.tables:
                    self._write_line({"table": table.name})
                    with pa.ipc.new_stream(self.wfile, table.schema) as writer:
                        for batch in table.batches:
                            self._check_runs()
                            writer.write_batch(batch)
            except TidemarkError as error:
                self._fail(self._told(error))
            else:
                self._write_line({"sums": {name: sum_.model_dump() for name, sum_ in snapshot.sums.items()}})

    def _check_runs(self) -> None:
        if self.server.is_closing:
            raise Stopping

    def _fail(self, error: TidemarkError) -> None:
        self._write_line({"error": {"exit_code": error.exit_code, "message": error.message, "remedy": error.remedy}})

    def _write_line(self, head: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(head).encode() + b"\n")


def _remove_stale(path: Path) -> None:
    """A worker that was killed leaves its socket behind. It goes only if nobody listens."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StoreError(f"{path} is there and is no socket", "Move it away, or set serve.admin_socket to another path.")
    with socket.socket(socket.AF_UNIX) as connection, _address(path) as address:
        try:
            connection.connect(address)
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{path} is in the way: {error.strerror}", "Remove it if no worker uses it.") from None
        else:
            raise StoreError(f"{path}: another worker listens there", "One worker per file: stop the other one, or ask it: tidemark status")


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """The socket's address. One that is too long for the system is said by way of its directory's descriptor, where there is /proc."""
    if len(os.fsencode(path)) <= _MAX_ADDRESS_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = f"/proc/self/fd/{directory}/{path.name}"
        if len(os.fsencode(short)) > _MAX_ADDRESS_BYTES or not Path("/proc/self/fd").is_dir():
            raise ConfigError(
                f"{path}: too long for a socket's path", f"Choose a serve.admin_socket of at most {_MAX_ADDRESS_BYTES} bytes."
            )
        yield short
    finally:
        os.close(directory)
