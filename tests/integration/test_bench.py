"""Each scenario of the benchmark, as small as it can be, on a real Kafka: its figures are exact and it leaves them behind."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.bench.__main__ import app
from tests.support.java import NotHere
from tests.support.real_kafka import running_broker

pytestmark = pytest.mark.kafka

SMALL = ("--messages", "3000", "--tables", "core")
HISTORY = ("--rows", "4000", "--days", "30")


@pytest.fixture(scope="module", autouse=True)
def one_broker_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    try:
        with running_broker(tmp_path_factory.mktemp("kafka")) as broker, pytest.MonkeyPatch.context() as patch:
            patch.setenv("TIDEMARK_TEST_KAFKA", broker.bootstrap)
            yield
    except NotHere as why:
        pytest.skip(str(why))


@pytest.mark.parametrize(
    "scenario",
    [
        (),
        ("caught-up", "--rate", "300", "--seconds", "2", "--warm-up", "1", "--idle", "1"),
        ("history", *HISTORY),
        ("beside-marts", *HISTORY, "--rate", "300", "--seconds", "3", "--warm-up", "1"),
        ("restart", *HISTORY, "--waiting", "100", "--wal", "0.1"),
        ("late",),
        ("updates",),
        ("batches", "--size", "500", "--size", "3000"),
        ("skew",),
        ("memory", "--after", "1000"),
    ],
    ids=lambda scenario: scenario[0] if scenario else "behind",
)
def test_the_scenario_ends_with_exact_figures(scenario: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    batch = ("--batch", "500") if scenario[:1] == ("memory",) else ()
    ended = CliRunner().invoke(app, [*SMALL, *batch, "--json", str(out), *scenario])
    assert ended.exit_code == 0, ended.output
    record = json.loads(out.read_text())
    assert record["versions"]["duckdb"]
    assert record["runs"] or record["results"]
