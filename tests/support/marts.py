"""Marts over a worker's file, refreshed by hand.

marts = Marts(worker)                      # those of sql/marts/, or such as `Marts(worker, mart("m", "unit = 'day'", "select .."))`
marts.refresh("customer_overview")         # with all that it reads, as of the last closed day
assert marts.rows("customer_overview", "customer_id", "order_count") == [("c1", 1)]
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from tests.support.worker import Worker
from worker.marts.definition import Mart, built_in, ordered, parse, with_inputs
from worker.marts.refresh import MartRun, Refresher, Request


def mart(name: str, front: str, select: str, *, grain: str, reads: str, parameters: str = "as_of", columns: str = "") -> Mart:
    """A mart of its own making; columns default to those named in `grain`, more are named in `columns`, by commas."""
    names = [column.strip() for column in f"{grain},{columns}".split(",") if column.strip()]
    declared = "\n".join(f'{column} = {{ about = "{column}" }}' for column in names)
    header = f"-- {name}: a test's own.\n-- grain: ({grain})   reads: {reads}   parameters: {parameters}"
    return parse(name, f"{header}\n/*\n{front}\n[columns]\n{declared}\n*/\n{select}")


SPEND = mart(
    "spend",
    'unit = "customer"',
    "select customer_id, count(*) as orders, cast(sum(net_cents) as bigint) as net_cents from counted_order group by customer_id",
    grain="customer_id",
    columns="orders, net_cents",
    reads="counted_order",
)


class Marts:
    """`parameters`: settings of the families that are not to have their defaults."""

    def __init__(self, worker: Worker, *own: Mart, parameters: Mapping[str, Any] | None = None) -> None:
        self.worker = worker
        self.marts: Mapping[str, Mart] = {each.name: each for each in own} if own else built_in()
        settings = worker.settings.marts.parameters() | dict(parameters or {})
        self.refresher = Refresher(self.marts, settings, worker.settings.reporting_currency)

    def refresh(self, *names: str, as_of: str | None = None, full: bool = False, refit: bool = False) -> dict[str, MartRun]:
        """Refresh these marts (all, if none is named) after all that they read. What goes wrong is raised."""
        wanted = with_inputs(names or self.marts, self.marts)
        request = Request(as_of=date.fromisoformat(as_of) if as_of else None, is_full=full, is_refit=refit)
        runs = {}
        for each in ordered(self.marts[name] for name in wanted):
            with self.worker.store.cursor() as connection:
                runs[each.name] = self.refresher.refresh(connection, each, request, self.worker.now)
        return runs

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """The table's rows in order of those columns (all, if none is named), days and moments as text."""
        return self.worker.rows(table, *columns)


def same_in_full(marts: Marts) -> None:
    """What the increments made is what a full refresh makes."""
    before = {name: marts.rows(name) for name in marts.marts}
    marts.refresh(full=True)
    assert {name: marts.rows(name) for name in marts.marts} == before
