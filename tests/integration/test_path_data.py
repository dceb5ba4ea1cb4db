"""PathData, a public data set, through the whole worker: files of another layout mapped by the example, attributed as published."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.commands import ROOT, tidemark
from tests.support.path_data import path_data_file

MAPPINGS = ROOT / "examples" / "channel_attribution"
CONVERSIONS = 19_785


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Attributed as of a day on which every journey that did not convert has ended."""
    directory = tmp_path_factory.mktemp("path_data")
    (directory / "archive").mkdir()
    (directory / "archive" / "Data.csv").write_bytes(path_data_file())
    file = directory / "paths.duckdb"
    mappings = [option for stream in ("touchpoints", "orders") for option in ("--map", f"{stream}={MAPPINGS / f'{stream}.sql'}")]
    brought = tidemark("backfill", "--from-archive", str(directory / "archive"), *mappings, "--advance-watermark", path=file)
    assert "397,994 rows read: 397,994 accepted, 0 duplicate, 0 superseded, 0 rejected, 0 expired" in brought.stdout, brought.stderr
    attributed = tidemark("marts", "refresh", "attribution_channel", "attribution_path", "--as-of", "2024-02-29", path=file)
    assert attributed.returncode == 0, attributed.stderr
    return file


def query(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_conversion_is_an_order_with_its_path_before_it(file: Path) -> None:
    """So each path of the file, which names some twice, has the conversions, nulls and cents that it has there."""
    data = "read_csv($data, delim = ';')"
    in_file = f"""select path, sum(total_conversions), sum(total_null), sum(cast(round(total_conversion_value * 100) as bigint))
                  from {data} group by path order by path"""
    with duckdb.connect() as connection:
        given = connection.execute(in_file, {"data": str(file.parent / "archive" / "Data.csv")}).fetchall()
    assert sum(conversions for _, conversions, _, _ in given) == CONVERSIONS
    found = query(file, "select path, conversions, nulls, value_cents from attribution_path order by path")
    assert found == given


def test_alpha_has_of_each_model_what_is_published(file: Path) -> None:
    sql = "select model, conversions from attribution_channel where period_kind = 'month' and channel = 'alpha'"
    published = {"first": 6308, "last": 8447, "linear": 7574.7186, "shapley": 7627.9440, "markov": 5344.9477}
    found = dict(query(file, sql))
    assert {model: found[model] for model in published} == pytest.approx(published, abs=5e-5)


def test_the_markov_chain_is_as_published(file: Path) -> None:
    chain = "from attribution_markov where states = 'channel' and channel = 'alpha'"
    ((probability, effect),) = query(file, f"select probability, removal_effect {chain}")
    assert (probability, effect) == (pytest.approx(0.2238451356, abs=5e-11), pytest.approx(0.558399, abs=5e-7))


def test_each_model_gives_all_conversions_and_every_cent(file: Path) -> None:
    sums = "select model, sum(conversions), sum(credit_cents) from attribution_channel where period_kind = 'month' group by model"
    found = query(file, sums)
    assert len(found) == 10
    assert {cents for _, _, cents in found} == {7_480_604}
    assert all(conversions == pytest.approx(CONVERSIONS) for _, conversions, _ in found)
