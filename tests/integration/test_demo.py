"""The demo, small but whole: broker, worker, screens."""

import io
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from worker.config import Marts, Settings, Store
from worker.demo import cdnow, run, shop
from worker.demo.broker import Messages, Outgoing
from worker.demo.job import NotRefreshed, Stopped, refresh, remove_old, work
from worker.errors import StoreError
from worker.serve.query import Limits, run_query
from worker.store.reader import open_reader

VISITORS = 800
BROKEN = """-- broken: fails at each refresh.
-- grain: (day)   reads: daily_users
/*
[columns]
day = { about = "any" }
*/
select error('out of beans') as day from daily_users
"""


def shown(width: int = 80) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width, highlight=False), out


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The file that a small demo leaves behind, and its screen."""
    path = tmp_path_factory.mktemp("demo") / "demo.duckdb"
    console, out = shown()
    run.run_shop(path, seed=3, console=console, visitors=VISITORS, batch_messages=2_500)
    return path, out.getvalue()


def test_the_first_line_says_what_comes_and_the_last_what_to_try(demo: tuple[Path, str]) -> None:
    _, screen = demo
    assert screen.startswith("Tidemark demo. 60 days of a shop")
    assert "tidemark" in screen.splitlines()[-1]
    assert "the demo's clock stands at 2026-05-01" in screen  # what status says of ages is measured against the machine's


def test_the_screen_is_plain_text_of_80_columns(demo: tuple[Path, str]) -> None:
    path, screen = demo
    commands = screen.index("What to try next")
    assert "\x1b" not in screen
    assert max(len(line) for line in screen[:commands].replace(str(path), "").splitlines()) <= 80


def test_the_screen_shows_speed_days_ledger_rejected_and_books(demo: tuple[Path, str]) -> None:
    _, screen = demo
    for part in ("messages a second", "The last days", "The ledger", "Rejected messages", "The books", "every table agrees, to the cent"):
        assert part in screen


def test_the_screen_shows_cohorts_attribution_value_and_segments(demo: tuple[Path, str]) -> None:
    _, screen = demo
    parts = ("marts were refreshed as of 2026-04-28", "Cohorts: ", "Attribution: USD of March 2026", "Customer value", "Segments by ")
    assert [part for part in parts if part not in screen] == []


def test_every_model_gives_away_the_same_revenue(demo: tuple[Path, str]) -> None:
    _, screen = demo
    attribution = screen[screen.index("Attribution") : screen.index("Customer value")].splitlines()
    (total,) = (line.split()[2:] for line in attribution if line.startswith("all "))
    assert len(total) == 5
    assert len(set(total)) == 1
    channels = [line.split() for line in attribution[2:] if line and not line.startswith("all ")]
    for model in range(2, 7):
        assert f"{sum(Decimal(row[model].replace(',', '')) for row in channels):,}" == total[0]


def test_the_cohorts_shown_are_those_who_first_bought_in_a_week(demo: tuple[Path, str]) -> None:
    """Counted from the orders by hand: of the first full week's customers, who ordered again in the next."""
    path, screen = demo
    with closing(open_reader(path, Store())) as connection:
        orders = connection.execute("select customer_id, day from order_current where counted").fetchall()
    first: dict[str, date] = {}
    for customer, day in sorted(orders, key=lambda order: order[1]):
        first.setdefault(customer, day)
    week = date(2026, 3, 9)
    members = {customer for customer, day in first.items() if week <= day < week + timedelta(7)}
    again = {customer for customer, day in orders if customer in members and week + timedelta(7) <= day < week + timedelta(14)}
    (line,) = (line.split() for line in screen.splitlines() if line.startswith("week of 09 Mar"))
    assert line[4:6] == [str(len(members)), f"{len(again) / len(members):.1%}"]


def test_a_mart_that_fails_ends_the_demo(demo: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "broken.sql").write_text(BROKEN)
    copy = tmp_path / "copy.duckdb"
    shutil.copyfile(demo[0], copy)
    with pytest.raises(NotRefreshed, match=r"mart broken was not refreshed: .*out of beans"):
        refresh(Settings(store=Store(path=copy), marts=Marts(directory=tmp_path)), shop.build(3, 1).closing, "broken")


def test_every_message_is_in_the_books_and_the_spoilt_ones_are_rejected(demo: tuple[Path, str]) -> None:
    path, _ = demo
    happened = shop.build(3, VISITORS).happened
    with closing(open_reader(path, Store())) as connection:
        books = connection.execute(
            "select sum(read), sum(rejected), sum(read - accepted - duplicate - superseded - rejected - expired) from accounting"
        )
        assert books.fetchone() == (happened["messages"], happened["spoilt"], 0)


def test_closed_days_were_changed_by_late_events(demo: tuple[Path, str]) -> None:
    path, _ = demo
    with closing(open_reader(path, Store())) as connection:
        assert connection.execute("from day_state where revision > 1").fetchall()  # how many depends on the order of the partitions


def test_a_query_reads_the_file_that_stays(demo: tuple[Path, str]) -> None:
    path, _ = demo
    with closing(open_reader(path, Store())) as connection:
        assert run_query(connection, "from daily_users_running", Limits.of(Settings().serve)).num_rows == 60


def test_a_file_that_no_demo_wrote_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious.duckdb"
    duckdb.connect(str(path)).execute("create table precious (x int)").close()
    with pytest.raises(StoreError, match="precious"):
        run.run_shop(path, seed=1, console=shown()[0], visitors=10)
    assert path.is_file()


class Interrupting(Messages):
    """Somebody presses Ctrl-C when half of the messages are sent."""

    def __iter__(self) -> Iterator[Outgoing]:
        for number, message in enumerate(super().__iter__()):
            if number == len(self) // 2:
                signal.raise_signal(signal.SIGINT)
            yield message


@pytest.mark.usefixtures("signals_as_they_were")
def test_a_demo_that_is_interrupted_ends_cleanly_and_its_file_makes_room_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "demo.duckdb"
    made = shop.build(3, 300)
    messages = Interrupting(made.messages.streams, made.messages.keys, made.messages.values, made.messages.at)
    with pytest.raises(Stopped, match="was stopped after"):
        work(path, messages, 500, made.closing, shown()[0])
    with closing(open_reader(path, Store())) as connection:
        assert connection.execute("select commit_id from progress").fetchone() is not None
    remove_old(path)
    assert not path.exists()


def test_the_real_purchases_add_up(tmp_path: Path) -> None:
    """Needs the wheel that make demo-real keeps: tests fetch nothing."""
    if not (cdnow.CACHE / cdnow.WHEEL).is_file():
        pytest.skip(f"{cdnow.CACHE / cdnow.WHEEL} is not there: make demo-real fetches it")
    console, out = shown()
    run.run_purchases(tmp_path / "real.duckdb", console)
    assert "differs" not in out.getvalue()
    assert "244,091.94" in out.getvalue()
