"""docs/operations.md: every command that it shows is run, and prints what it shows (how they are compared: tests/support/guide.py)."""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer import Context
from typer.core import TyperGroup
from typer.main import get_command

from tests.support import shop
from tests.support.commands import ROOT
from tests.support.console import Console
from tests.support.guide import Block, Step, blocks, is_seen
from tests.support.java import NotHere
from tests.support.kafka_log import KafkaLog, MockLog
from tests.support.mock_broker import mock_broker
from tests.support.real_kafka import running_broker
from worker import cli
from worker.events import Partition

TEXT, README = ((ROOT / name).read_text(encoding="utf-8") for name in ("docs/operations.md", "README.md"))
GUIDE = blocks(TEXT)
ON_KAFKA, SEALED, WORKER = "on a real Kafka", "with sealed days", "with a running worker"
REPLACED, CUT = "orders created again", "orders cut at 3"
TOPICS = ("orders", "touchpoints")
OF_OTHERS = {"--build", "--wait"}  # options in the README that are docker compose's


def is_run(block: Block) -> bool:
    return not any(need.startswith("not run: ") for need in block.needs)


def sections(*, on_kafka: bool) -> list[str]:
    return list(dict.fromkeys(block.section for block in GUIDE if is_run(block) and (ON_KAFKA in block.needs) == on_kafka))


class World:
    """A shop's log, and the directory of an operator who has read it."""

    def __init__(self, log: MockLog, directory: Path, cache: Path, *, has_sealed: bool = False) -> None:
        """`cache`: of compiled modules."""
        self.log, self._prepared, self._cache = log, directory, cache
        self._clock_shift = (datetime.now(UTC) - shop.TODAY).total_seconds()
        shop.write_directory(directory, log.bootstrap, has_sealed=has_sealed)
        console = self._console(directory)
        for messages in (shop.on_time(), shop.late(), shop.too_late() if has_sealed else ()):
            log.put(messages)
            code, printed = console.end("tidemark --set batch.max_delay=2s --set marts.enabled=false run --exit-at-end")
            assert code == 0, printed

    def show(self, shown: list[Block], directory: Path) -> None:
        """Run the blocks of a section in a copy of the directory."""
        shutil.copytree(self._prepared, directory)
        directory.with_name("tidemark").symlink_to(ROOT)
        console = self._console(directory)
        for block in shown:
            self._change(block)
            with ExitStack() as stack:
                if WORKER in block.needs:
                    stack.enter_context(console.worker(directory / "shop.duckdb.sock"))
                console.run(block)

    def _console(self, directory: Path) -> Console:
        return Console(directory, self._clock_shift, self._cache)

    def _change(self, block: Block) -> None:
        """What happens to the log before the block."""
        if isinstance(self.log, KafkaLog):
            if REPLACED in block.needs:
                self.log.replace("orders", 2)
            if CUT in block.needs:
                self.log.delete_before(Partition("orders", 0), 3)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[World]:
    with mock_broker() as bootstrap:
        yield World(MockLog(bootstrap), tmp_path_factory.mktemp("shop"), cache)


@pytest.fixture(scope="session")
def sealed_world(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[World]:
    """Its oldest days are sealed, and events came for them."""
    with mock_broker() as bootstrap:
        yield World(MockLog(bootstrap), tmp_path_factory.mktemp("shop"), cache, has_sealed=True)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaLog]:
    """A broker that has no topics of the guide's names yet."""
    try:
        with running_broker(tmp_path_factory.mktemp("kafka")) as broker:
            log = KafkaLog(broker.bootstrap)
            if set(TOPICS) & set(log.admin.list_topics(timeout=30).topics):
                pytest.skip("the broker has topics of the guide's names, which must not be touched")
            yield log
    except NotHere as reason:
        pytest.skip(str(reason))


@pytest.fixture
def kafka_world(kafka: KafkaLog, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[World]:
    for topic in TOPICS:
        kafka.create(topic, 2)
    yield World(kafka, tmp_path_factory.mktemp("shop"), cache)
    for topic in TOPICS:
        kafka.delete(topic)


@pytest.mark.parametrize("section", sections(on_kafka=False))
def test_one_sees_what_the_guide_shows(section: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    shown = [block for block in GUIDE if block.section == section and is_run(block) and ON_KAFKA not in block.needs]
    assert shown, "a section without an example shows nothing"
    is_sealed = any(SEALED in block.needs for block in shown)
    world: World = request.getfixturevalue("sealed_world" if is_sealed else "world")
    world.show(shown, tmp_path / "operator")


@pytest.mark.kafka
@pytest.mark.parametrize("section", sections(on_kafka=True))
def test_one_sees_it_on_a_real_kafka(section: str, tmp_path: Path, kafka_world: World) -> None:
    shown = [block for block in GUIDE if block.section == section and ON_KAFKA in block.needs]
    assert shown, "a section without an example shows nothing"
    kafka_world.show(shown, tmp_path / "operator")


def commands() -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Those that a person can type, ("jobs", "list"), each with its options; of all of them first."""
    everything = get_command(cli.app)
    assert isinstance(everything, TyperGroup)
    yield (), options(everything)
    context = Context(everything)
    for name in everything.list_commands(context):
        command = everything.get_command(context, name)
        assert command is not None
        inner = command.commands.items() if isinstance(command, TyperGroup) else [("", command)]
        yield from (((name, each) if each else (name,), options(one)) for each, one in inner if not one.hidden)


def options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts} | {"--help"}


def test_every_command_stands_in_the_readme_and_in_the_guide() -> None:
    rows = [row for row in README.splitlines() if row.startswith("| `")]
    for words, _ in commands():
        assert not words or any(all(f"{word}`" in row or f"`{word}" in row for word in words) for row in rows), words
        assert {"demo", "compare-approaches"} & {*words} or " ".join(("tidemark", *words)) in TEXT, words


def test_every_option_that_is_named_exists() -> None:
    known = {option for _, own in commands() for option in own}
    assert set(re.findall(r"--[a-z][a-z-]*", TEXT.replace("-->", "") + README)) - known == OF_OTHERS


def test_the_guide_leaves_nothing_out_without_a_reason() -> None:
    known = {ON_KAFKA, SEALED, WORKER, REPLACED, CUT}
    unknown = {need for block in GUIDE for need in block.needs if not need.startswith(("exit ", "not run: "))} - known
    assert not unknown
    assert all(need.removeprefix("not run: ") for block in GUIDE for need in block.needs if need.startswith("not run: "))


@pytest.mark.parametrize(
    ("shown", "printed", "is_so"),
    [
        ("orders/0  10\n", "orders/0      10   \n", True),
        ("orders/0  10\n", "orders/0  11\n", False),
        ("one\n...\nfour\n", "one\ntwo\nthree\nfour\n", True),
        ("one\n...\n", "two\n", False),
        ("file ... is there\n", "file /a/b is there\n", True),
        ("changed 2026-03-08 10:21:00, 12.3 MB, 7 s ago\n", "changed 2026-03-08 10:35:59, 999 kB, 1 m 5 s ago\n", True),
        ("closed 2026-03-08 09:25:00\n", "closed 2026-03-08 09:35:00\n", False),
    ],
)
def test_what_is_printed_is_held_against_the_guide(shown: str, printed: str, is_so: bool) -> None:
    assert is_seen(shown, printed) == is_so


def test_an_option_that_does_not_exist_is_found(world: World, tmp_path: Path) -> None:
    wrong = Block("wrong", 1, frozenset(), (Step("tidemark status --colour", "...\n"),))
    with pytest.raises(AssertionError, match="ended with 2"):
        world.show([wrong], tmp_path / "operator")
