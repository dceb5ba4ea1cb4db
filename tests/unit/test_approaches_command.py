"""tidemark compare-approaches as a person or a program runs it."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from worker import cli
from worker.approaches import picture
from worker.errors import ExitCode

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

SMALL = ("compare-approaches", "--days", "8", "--visitors", "100", "--seed", "3", "--late-share", "0.3", "--window", "2")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    monkeypatch.chdir(tmp_path)
    return capsys


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return int(ended.value.code or 0)


def test_a_program_gets_a_line_for_each_approach_and_a_picture_that_says_the_same(shell: pytest.CaptureFixture[str]) -> None:
    assert run(*SMALL, "--price-per-tb", "10", "--json", "--output", "new/picture.svg") == ExitCode.OK
    lines = [json.loads(line) for line in shell.readouterr().out.splitlines()]
    assert len(lines) == 8
    for line in lines:
        assert line["bytes"] == sum(night["bytes"] for night in line["nights"]) == sum(read["bytes"] for read in line["reads"].values())
        assert line["dollars_a_day"] == pytest.approx(line["bytes"] / 8 / 1e12 * 10)
        assert bool(line["wrong_days"]) == (line["approach"] == "staging, sliding window")
    drawn = ElementTree.parse("new/picture.svg").getroot()
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    assert list(Path.cwd().iterdir()) == [Path.cwd() / "new"]  # nothing else is left behind


def test_a_person_reads_costs_the_claim_and_the_wrong_days(shell: pytest.CaptureFixture[str]) -> None:
    assert run(*SMALL) == ExitCode.OK
    shown = shell.readouterr().out
    text = " ".join(shown.split())
    for part in (
        "8 nights of a shop (seed 3)",
        "$ a day at",
        "6.25 a TB",
        "publicly claimed are 25 times, 5 TB to 200 GB a day",
        "and 25 times at 50.",
        "of 8 days wrong",
        "worst days",
    ):
        assert part in text
    assert max(map(len, shown.splitlines())) <= 120


def test_a_picture_of_an_unknown_kind_is_refused_before_the_work(shell: pytest.CaptureFixture[str]) -> None:
    assert run(*SMALL, "--output", "picture.bmp") == ExitCode.USAGE
    assert (
        shell.readouterr().err
        == "tidemark: --output picture.bmp: not a kind of picture that can be drawn\nLet it end in .svg, .png, .pdf.\n"
    )


def test_without_matplotlib_there_is_no_picture_and_a_word_on_how_to_get_it(
    shell: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "find_spec", lambda _: None)
    assert run(*SMALL, "--output", "picture.svg") == ExitCode.USAGE
    assert "pip install matplotlib" in shell.readouterr().err
