"""Where a worker listens: the HTTP port and the admin socket are free, or it is our worker that has them."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import httpx

from worker.config import Serve, Settings
from worker.doctor.findings import Checks, Finding, ok, problem, warning
from worker.serve.status import Status

SECONDS = 2.0
_MAX_ADDRESS_BYTES = 103  # of a socket's path; a longer one takes a way round that only Linux has


def serving_checks(settings: Settings, worker: Status | None) -> Checks[None]:
    """`worker`: what answered at the admin socket, if anybody did."""
    yield port_finding(settings, port_at(settings.serve), worker)
    yield from socket_findings(settings.admin_socket, worker)


class Port(NamedTuple):
    """What is at serve.port: a fault (it can't be had at all), nobody, or somebody: `file` is that of a worker, None of something else."""

    fault: str = ""
    is_taken: bool = False
    file: str | None = None


def port_at(serve: Serve) -> Port:
    """Looked at without listening, so that nobody sees it."""
    family = socket.AF_INET6 if ":" in serve.host else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((serve.host, serve.port))
        except OSError as error:
            return Port(is_taken=True, file=_file_served(serve)) if error.errno == errno.EADDRINUSE else Port(error.strerror or str(error))
    return Port()


def _file_served(serve: Serve) -> str | None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(serve.host, serve.host)
    try:
        answer = httpx.get(httpx.URL(scheme="http", host=host, port=serve.port, path="/status"), timeout=SECONDS, trust_env=False)
        return str(answer.json()["file"]["path"])
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return None


def port_finding(settings: Settings, port: Port, worker: Status | None) -> Finding:
    """A worker that can't have its port does not start."""
    place = f"{settings.serve.host}:{settings.serve.port}"
    remedy = "Set serve.port to another one; 0 takes any free one."
    if settings.serve.port == 0:
        return ok("http", f"any free port of {settings.serve.host} will do")
    if port.fault:
        return problem("http", f"can't listen at {place}: {port.fault}", "Set serve.host to an address of this machine, and serve.port.")
    if not port.is_taken:
        if worker is not None:
            return warning("http", f"a worker runs, and nothing listens at {place}", "Is serve.port the same here as there?")
        return ok("http", f"{place} is free")
    if port.file is None:
        return problem("http", f"another program listens at {place}", remedy)
    if Path(port.file).absolute() != settings.store.path.absolute() and not (worker and worker.file and worker.file.path == port.file):
        return problem("http", f"the worker of {port.file} listens at {place}", remedy)
    if worker is None:
        found = f"the worker of this file listens at {place}, and does not answer at {settings.admin_socket}"
        return warning("http", found, "Is serve.admin_socket the same here as there?")
    return ok("http", f"the worker listens at {place}")


def socket_findings(path: Path, worker: Status | None) -> Iterator[Finding]:
    """What is at the admin socket's path, where no worker answers."""
    if len(os.fsencode(path)) > _MAX_ADDRESS_BYTES:
        remedy = f"Set serve.admin_socket to a path of at most {_MAX_ADDRESS_BYTES} bytes."
        yield warning("admin socket", f"{path} is too long for a socket's path on some systems", remedy)
    if worker is not None:
        yield ok("admin socket", f"a worker answers at {path}")
    elif path.is_socket():
        yield ok("admin socket", f"{path} was left by a worker that was killed; the next start removes it")
    elif path.exists():
        yield problem("admin socket", f"{path} is there and is no socket", "Move it away, or set serve.admin_socket to another path.")
    else:
        yield ok("admin socket", f"{path} is free")
