"""RegistrySchemas against a real registry."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.java import NotHere
from tests.support.messages import WRITERS
from tests.support.registry import JarRegistry, register, running_registry
from worker.config import Registry
from worker.decode.reasons import Reason
from worker.decode.registry import RegistrySchemas
from worker.decode.schemas import NoSchema
from worker.errors import Fatal, Unavailable

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        with running_registry(Path(tmp_path_factory.mktemp("registry"))) as url:
            yield url
    except NotHere as reason:
        pytest.skip(str(reason))


@pytest.fixture
def schemas(url: str) -> Iterator[RegistrySchemas]:
    with closing(RegistrySchemas(Registry(url=url))) as schemas:
        yield schemas


@pytest.fixture
def subject() -> str:
    return f"{uuid4().hex[:8]}-value"


def test_a_registered_schema_is_found_by_its_id(schemas: RegistrySchemas, url: str, subject: str) -> None:
    for writer in WRITERS.values():
        schema_id = register(url, f"{writer['name']}-{subject}-{len(writer['fields'])}", json.dumps(writer))
        text = schemas.text(schema_id)
        assert isinstance(text, str)
        assert json.loads(text) == writer


def test_an_id_that_was_never_given_is_an_unknown_schema(schemas: RegistrySchemas) -> None:
    answer = schemas.text(2_000_000_000)
    assert isinstance(answer, NoSchema)
    assert answer.reason is Reason.UNKNOWN_SCHEMA


def test_a_guid_that_the_registry_does_not_know_is_an_unknown_schema(schemas: RegistrySchemas) -> None:
    answer = schemas.text(uuid4())
    assert isinstance(answer, NoSchema)
    assert answer.reason is Reason.UNKNOWN_SCHEMA


def test_a_schema_of_another_kind_is_refused(schemas: RegistrySchemas, url: str, subject: str) -> None:
    schema_id = register(url, subject, 'syntax = "proto3"; message Order { string order_id = 1; }', schemaType="PROTOBUF")
    answer = schemas.text(schema_id)
    assert isinstance(answer, NoSchema)
    assert answer.reason is Reason.REFUSED_SCHEMA


def test_a_url_that_is_not_of_the_confluent_api_stops_the_worker(url: str) -> None:
    wrong = Registry(url=url.rsplit("/apis", 1)[0] + "/apis/nothing")
    with closing(RegistrySchemas(wrong)) as schemas, pytest.raises(Fatal, match="not as a schema registry does"):
        schemas.text(1)


def test_a_registry_that_is_away_is_waited_for_and_asked_again(tmp_path: Path) -> None:
    try:
        registry = JarRegistry(tmp_path)
    except NotHere as reason:
        pytest.skip(str(reason))
    asked = Registry(url=registry.url, timeout=timedelta(seconds=1))
    with closing(RegistrySchemas(asked, sleep=lambda _: None)) as schemas:
        with pytest.raises(Unavailable, match="is away"):
            schemas.text(1)
        registry.start()
        schema_id = register(registry.url, "orders-value", json.dumps(WRITERS[1]))
        assert isinstance(schemas.text(schema_id), str)
        registry.kill()
        with pytest.raises(Unavailable, match="is away"):
            schemas.text(schema_id)
