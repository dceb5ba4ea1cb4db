"""`make bench-marts`, as small as it can be: every mart is refreshed twice, the second time from what has changed alone."""

import json
from pathlib import Path

from typer.testing import CliRunner

from tests.bench.marts import app
from worker.marts.definition import built_in


def test_all_marts_are_refreshed_in_full_and_then_incrementally(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    small = ("--customers", "200", "--touchpoints", "2000", "--orders", "300", "--days", "40", "--changed", "0.1")
    ended = CliRunner().invoke(app, [*small, "--kept", str(tmp_path), "--json", str(out)])
    assert ended.exit_code == 0, ended.output
    full, incremental = (json.loads(out.read_text())["passes"][name] for name in ("full", "incremental"))
    assert {each["mart"] for each in full} == {each["mart"] for each in incremental} == set(built_in())
    assert not any(each["failed_audits"] for each in [*full, *incremental])
    first, then = (next(each for each in marts if each["mart"] == "customer_facts") for marts in (full, incremental))
    assert (first["reason"], then["reason"]) == ("first", "")
    assert 0 < then["rows_written"] < first["rows_written"] / 2
