"""`tidemark explain` on a screen, at 80 and at 160 columns."""

import io
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.support.messages import Produced
from tests.support.worker import Worker, line, moment, order, touch
from worker import cli
from worker.commands.explain_view import ExplanationView
from worker.commands.explanation import explained
from worker.errors import ExitCode

DAY = "2026-03-05"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(
        tmp_path, time={"reporting_time_zone": "Europe/Berlin"}, kafka={"topics": {"orders": "orders", "touchpoints": "touchpoints"}}
    )
    yield worker
    worker.close()


def seen(worker: Worker, day: str = DAY, width: int = 80, limit: int = 20) -> list[str]:
    """The lines on a screen of that width, of the file that the worker leaves behind."""
    worker.store.close()
    console = Console(file=io.StringIO(), width=width, highlight=False, _environ={})
    console.print(ExplanationView(explained(worker.settings, date.fromisoformat(day), limit)))
    assert isinstance(console.file, io.StringIO)
    lines = [text.rstrip() for text in console.file.getvalue().splitlines()]
    assert all(cell_len(text) <= width for text in lines)
    return lines


def feed_late(worker: Worker, *messages: Produced) -> None:
    worker.now = moment("2026-03-08 10:20")
    worker.feed(*messages)


def test_a_changed_day_reads_from_the_top_down(worker: Worker) -> None:
    worker.feed(order("o1", DAY), touch("c1", DAY), close=DAY)
    feed_late(
        worker, order("o2", "2026-03-05 18:00", currency="JPY", items=[line(quantity=1234)]), touch("c2", DAY, event_id="e9", cost_cents=45)
    )
    assert seen(worker) == [
        "2026-03-05 is closed, revision 2",
        "It has changed since it closed, in 1 commit.",
        "closed   when the watermark was 2026-03-06 23:00:00 UTC",
        "changed  by commits from 2026-03-08 10:20:00 to 2026-03-08 10:20:00 UTC",
        "lasted   2026-03-04 23:00:00 to 2026-03-05 23:00:00 UTC, in Europe/Berlin",
        "",
        "sum         at closing     change       now",
        "touchpoints          1         +1         2",
        "orders, JPY          0         +1         1",
        "gross, JPY           0 +1,234,000 1,234,000",
        "net, JPY             0 +1,234,000 1,234,000",
        "orders, USD          1          0         1",
        "gross, USD       10.00          0     10.00",
        "net, USD         10.00          0     10.00",
        "",
        "hour of commit   by   commits new updates touchpoints orders            net",
        "2026-03-08 10:00 live       1   2       0          +1     +1 +1,234,000 JPY",
        "",
        "hour of commit   by   offsets",
        "2026-03-08 10:00 live orders/0 2, touchpoints/0 1",
        "",
        "Late events, newest first",
        "2026-03-08 10:20:00  orders/0 @ 2  2 d 16 h after 2026-03-05 18:00:00",
        "    COMPLETED order o2 of c1, net 1,234,000 JPY",
        "2026-03-08 10:20:00  touchpoints/0 @ 1  2 d 22 h after 2026-03-05 12:00:00",
        "    page_view e9 of c2, email, cost 0.45 USD",
    ]


def test_where_there_is_room_an_event_is_one_line(worker: Worker) -> None:
    worker.feed(touch("c1", DAY), close=DAY)
    feed_late(worker, *(touch(f"c{number}", DAY) for number in range(2, 9)))
    lines = seen(worker, width=160, limit=3)
    assert "Late events, newest first: 3 of 7; --limit shows more" in lines
    (found,) = [text.split() for text in lines if "of c8" in text]
    assert found[:10] == ["2026-03-08", "10:20:00", "touchpoints/0", "@", "7", "2", "d", "22", "h", "2026-03-05"]


def test_the_event_of_another_day_is_shown_with_what_it_moved(worker: Worker) -> None:
    worker.feed(touch("c1", DAY), close=DAY)
    feed_late(worker, touch("c1", "2026-03-02", event_id="first"))
    text = " ".join(" ".join(seen(worker)).split())
    assert "none: an event of another day moved a customer's first day, or a product's stock was read" in text
    assert "new_customers -1: page_view touchpoint first of c1 on 2026-03-02" in text


@pytest.mark.parametrize(
    ("day", "close", "said"),
    [
        (
            DAY,
            None,
            "Its numbers grow as events come, and none of these is late. It closes when the watermark passes 2026-03-06 23:00:00 UTC;",
        ),
        (DAY, DAY, "Its numbers are as at closing: nothing that counts has come since."),
        ("2026-03-04", DAY, "The file has days from 2026-03-05 to 2026-03-07. The watermark has passed this one: an event for it is late."),
        ("2026-04-01", DAY, "An event for this one is on time until the watermark passes 2026-04-02 22:00:00 UTC; it stands at"),
    ],
)
def test_the_first_sentence_says_how_a_day_stands(worker: Worker, day: str, close: str | None, said: str) -> None:
    worker.feed(touch("c1", DAY), close=close)
    assert said in " ".join(seen(worker, day))


def test_a_sealed_day_says_what_is_gone(tmp_path: Path) -> None:
    worker = Worker(tmp_path, retention={"days": 2})
    worker.feed(touch("c1", DAY), close="2026-03-10")
    lines = seen(worker)
    assert lines[0] == "2026-03-05 is sealed, revision 1"
    assert "Retention has dropped its rows: its numbers and the ledger stay" in " ".join(lines)
    worker.close()


def test_text_that_came_from_data_has_no_power_over_the_screen(worker: Worker) -> None:
    worker.feed(touch("c1", DAY), close=DAY)
    feed_late(worker, touch("[red]\x1b[2J", DAY, channel="[bold]"), order("[/]\x1b", DAY, currency="[b]"))
    text = "\n".join(seen(worker, width=160))
    assert "\x1b" not in text
    assert "of [red]\\x1b[2J, [bold]" in text
    assert "order [/]\\x1b of c1, net 10.00 [b]" in text


@pytest.mark.usefixtures("logging_as_it_was")
def test_for_programs_it_is_one_object(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    worker.feed(touch("c1", DAY), close=DAY)
    feed_late(worker, order("o1", DAY))
    worker.close()
    with pytest.raises(SystemExit) as ended:
        cli.main(["--set", f"store.path={worker.settings.store.path}", "explain", DAY, "--json"])
    (told,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert (ended.value.code, told["state"], told["revision"]) == (ExitCode.OK, "closed", 2)
    assert told["numbers"][0] == {"currency": None, "measure": "touchpoints", "at_closing": 1, "change": 0, "now": 1}
    assert told["events"][0]["ingested_at"] == "2026-03-08T10:20:00Z"


@pytest.mark.usefixtures("logging_as_it_was")
@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "0001-01-01"])
def test_what_is_no_day_of_events_is_refused(day: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--set", f"store.path={tmp_path / 'none.duckdb'}", "explain", day])
    assert (ended.value.code, f"tidemark: {day}" in capsys.readouterr().err) == (ExitCode.USAGE, True)
