"""A real schema registry (Apicurio, by its Confluent API) for the tests: one that runs already, a container, or the jars."""

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.java import JavaProcess, docker_runs, fetched, free_ports, maven

VERSION = "3.0.9"  # the last one for Java 17
CONFLUENT_API = "/apis/ccompat/v7"


class JarRegistry(JavaProcess):
    """Apicurio from jars, with an empty database in memory at each start. Raises NotHere."""

    def __init__(self, directory: Path) -> None:
        jars = fetched("registry", _fetch)
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}{CONFLUENT_API}"
        settings = ["quarkus.http.host=127.0.0.1", f"quarkus.http.port={port}", "apicurio.storage.kind=sql", "apicurio.storage.sql.kind=h2"]
        runner = jars / f"apicurio-registry-app-{VERSION}-runner.jar"
        super().__init__(["-Xmx512m", *(f"-D{setting}" for setting in settings), "-jar", str(runner)], directory, lambda: answers(self.url))


def _fetch(folder: Path) -> None:
    name = f"apicurio-registry-app-{VERSION}-all.tar.gz"
    maven("dependency:copy", f"-Dartifact=io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all", f"-DoutputDirectory={folder}")
    with tarfile.open(folder / name) as archive:
        archive.extractall(folder, filter="data")
    (folder / name).unlink()


@contextmanager
def running_registry(directory: Path) -> Iterator[str]:
    """The url of a registry's Confluent API; gone afterwards if it was started here. Raises NotHere."""
    if external := os.environ.get("TIDEMARK_TEST_REGISTRY"):
        yield external
    elif docker_runs():
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import HttpWaitStrategy

        ready = HttpWaitStrategy(8080, f"{CONFLUENT_API}/subjects").for_status_code(200)
        with DockerContainer(f"apicurio/apicurio-registry:{VERSION}").with_exposed_ports(8080).waiting_for(ready) as container:
            yield f"http://{container.get_container_host_ip()}:{container.get_exposed_port(8080)}{CONFLUENT_API}"
    else:
        registry = JarRegistry(directory)
        try:
            registry.start()
            yield registry.url
        finally:
            registry.stop()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/subjects", timeout=1).is_success
    except httpx.RequestError:
        return False


def register(url: str, subject: str, schema: str, **more: Any) -> int:
    """Register a schema's text; its id."""
    answer = httpx.post(f"{url}/subjects/{subject}/versions", json={"schema": schema, **more}, timeout=30)
    answer.raise_for_status()
    return int(answer.json()["id"])
