"""What doctor says of the schema registry and of the schemas that are registered, or named by files."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.support.fake_registry import FakeRegistry, fake_registry
from tests.support.findings import gathered, levels, told
from tests.support.messages import WRITERS
from worker.config import Registry
from worker.doctor.findings import Finding, Level, within
from worker.doctor.registry import registry_checks, rule_finding
from worker.events import Stream

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
HTTPS = "Set registry.url to https."
TOPICS = {Stream.ORDERS: "orders"}


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as server:
        server.date = format_datetime(NOW, usegmt=True)
        yield server


def examined(settings: Registry) -> tuple[list[Finding], timedelta | None]:
    return gathered(within(30, "registry", registry_checks(settings, TOPICS, lambda: NOW + timedelta(minutes=2))))


def test_a_registry_whose_newest_schema_can_be_read_is_fine_and_tells_its_clock(registry: FakeRegistry) -> None:
    registry.register("orders-value", WRITERS[4], 17, version=3)
    findings, ahead = examined(Registry(url=registry.url))
    assert levels(findings) == {"registry": Level.OK, "schema": Level.OK, "schema rule": Level.OK}
    assert told(findings, "schema").found == "orders-value version 3, id 17: read in columns"
    assert ahead == timedelta(minutes=2)
    assert {each.split()[0] for each in registry.asked} == {"GET"}


def test_a_newest_schema_that_can_not_be_read_is_a_problem(registry: FakeRegistry) -> None:
    registry.register("orders-value", WRITERS[2], 17)
    finding = told(examined(Registry(url=registry.url))[0], "schema")
    assert (finding.level, "tidemark schema check --stream orders" in finding.remedy) == (Level.PROBLEM, True)


@pytest.mark.parametrize("different", [{"schemaType": "PROTOBUF"}, {"references": [{"name": "Money"}]}, {"schema": "{"}])
def test_what_is_not_plain_avro_is_a_problem(registry: FakeRegistry, different: dict[str, Any]) -> None:
    registry.register("orders-value", WRITERS[1], 17)
    registry.answers["/subjects/orders-value/versions/latest"] |= different
    assert levels(examined(Registry(url=registry.url))[0])["schema"] is Level.PROBLEM


def test_a_topic_without_a_subject_is_no_problem(registry: FakeRegistry) -> None:
    finding = told(examined(Registry(url=registry.url))[0], "schema")
    assert (finding.level, finding.found.startswith("there is no subject orders-value")) == (Level.OK, True)


@pytest.mark.parametrize(
    ("rule", "level"), [("BACKWARD", Level.OK), ("FULL_TRANSITIVE", Level.OK), ("NONE", Level.WARNING), (None, Level.SKIPPED)]
)
def test_a_registry_that_takes_any_change_is_a_warning(rule: str | None, level: Level) -> None:
    assert rule_finding("orders-value", rule).level is level


@pytest.mark.parametrize(("status", "told_of"), [(401, "refuses us: 401"), (503, "answers 503"), (302, "not as a schema registry does")])
def test_a_registry_that_does_not_answer_as_one_is_a_problem(registry: FakeRegistry, status: int, told_of: str) -> None:
    registry.status = status
    findings, ahead = examined(Registry(url=registry.url))
    assert (levels(findings), ahead) == ({"registry": Level.PROBLEM}, None)
    assert told_of in told(findings, "registry").found


def test_a_registry_that_is_away_is_a_problem() -> None:
    (finding,), _ = examined(Registry(url="http://127.0.0.1:1"))
    assert (finding.level, "is away" in finding.found) == (Level.PROBLEM, True)


def test_a_password_that_goes_through_the_net_in_clear_is_a_warning(registry: FakeRegistry) -> None:
    secret: dict[str, Any] = {"username": "reader", "password": SecretStr("s3cret")}
    findings, _ = examined(Registry(url="http://registry.invalid", **secret))
    assert findings[0] == Finding("registry", Level.WARNING, "http://registry.invalid: password or token go there in clear", HTTPS)
    assert levels(examined(Registry(url=registry.url, **secret))[0])["registry"] is Level.OK


def schema_file(path: Path, schema: Any) -> Path:
    path.write_text(json.dumps(schema))
    return path


def test_schema_files_are_looked_at_where_there_is_no_registry(tmp_path: Path) -> None:
    files = {"1": schema_file(tmp_path / "1.avsc", WRITERS[1]), "2": schema_file(tmp_path / "2.avsc", WRITERS[2])}
    assert levels(examined(Registry(files=files))[0]) == {"registry": Level.OK, "schema": Level.OK}
    files["3"] = schema_file(tmp_path / "3.avsc", {"type": "record", "name": "Invoice", "fields": []})
    problems = [finding for finding in examined(Registry(files=files))[0] if finding.level is Level.PROBLEM]
    assert [finding.found for finding in problems] == [f"id 3, {tmp_path}/3.avsc: Invoice is not of any stream"]


def test_neither_a_registry_nor_schema_files_is_a_problem() -> None:
    assert levels(examined(Registry())[0]) == {"registry": Level.PROBLEM}
