"""The comparison of approaches on a screen: what was read, what it would cost, how long it took, which days are wrong."""

from collections import Counter
from collections.abc import Iterable

from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.approaches.compare import BY_COLUMN, BY_KEY, CLAIMED_RATIO, FULL_BATCH, STAGING, TIDEMARK, WINDOW, Comparison, Outcome, WrongDay
from worker.commands.formats import cells, count, money, signed, size, table

_TERABYTE = 1e12
_BAR = 40
_WORST = 8


def dollars_a_night(outcome: Outcome, price_per_tb: float) -> float:
    """What its mean nightly run would cost, were its bytes billed."""
    return outcome.bytes / len(outcome.nights) / _TERABYTE * price_per_tb


def show(console: Console, comparison: Comparison, price_per_tb: float) -> None:
    """All of it, in the order in which one asks."""
    _show_data(console, comparison)
    _show_costs(console, comparison, price_per_tb)
    _show_bars(console, comparison)
    _show_claim(console, comparison)
    _show_wrong_days(console, comparison)


def _show_data(console: Console, comparison: Comparison) -> None:
    setup, late = comparison.setup, comparison.late_rows
    console.print(
        f"{setup.days} nights of a shop (seed {setup.seed}): {count(comparison.messages)} messages of orders and touchpoints, repeated, "
        f"updated and spoilt ones among them. Of the accepted rows {count(late(1))} came on a later day than their own: {count(late(14))} "
        f"of them 14 days later or more, {count(late(20))} 20 days or more, the last {max(comparison.ages)} days.\n"
    )


def _show_costs(console: Console, comparison: Comparison, price_per_tb: float) -> None:
    costs = table(
        console.width,
        left=("approach", "by"),
        right=(
            "rows\na night",
            "bytes\na night",
            "bytes,\nlast week",
            f"$ a day at\n{price_per_tb:g} a TB",
            "CPU s",
            "wall s",
            "wrong\ndays",
        ),
    )
    for outcome in comparison.outcomes:
        nights = len(outcome.nights)
        costs.add_row(
            *cells(
                comparison.title(outcome),
                outcome.engine,
                count(outcome.rows / nights),
                count(outcome.bytes / nights),
                count(outcome.recent_bytes),
                f"{dollars_a_night(outcome, price_per_tb):.7f}",
                f"{outcome.cpu_seconds:.1f}",
                f"{outcome.wall_seconds:.1f}",
                Text(str(len(outcome.wrong_days)), "bold red" if outcome.wrong_days else ""),
            )
        )
    console.print(costs)
    console.print(
        "Seconds are those of all nights. After every night the tables were compared: SQL and Arrow agree, and all but the window."
    )


def _show_bars(console: Console, comparison: Comparison) -> None:
    shown = [comparison.outcome(approach) for approach in (FULL_BATCH, STAGING, WINDOW)]
    shown += [comparison.outcome(TIDEMARK, counted) for counted in (BY_COLUMN, BY_KEY)]
    most = max(outcome.bytes for outcome in shown)
    bars = Table.grid(padding=(0, 1))
    bars.add_column()
    bars.add_column()
    bars.add_column(justify="right")
    for outcome in shown:
        color = "red" if outcome.wrong_days else "green"
        bar = Bar(most, 0, outcome.bytes, width=_BAR, color=color)
        bars.add_row(comparison.title(outcome), bar, size(outcome.bytes / len(outcome.nights)))
    console.print("\n[bold]Bytes read in a nightly run, on average[/]")
    console.print(bars)


def _show_claim(console: Console, comparison: Comparison) -> None:
    setup, window = comparison.setup, comparison.outcome(WINDOW)
    by_key, by_column = (comparison.outcome(TIDEMARK, counted) for counted in (BY_KEY, BY_COLUMN))
    at_best, needed = setup.days / setup.window_days, CLAIMED_RATIO * setup.window_days
    console.print(
        f"\n[bold]The window reads {comparison.ratio(window):.1f} times fewer bytes than the full batch[/] in the last week; publicly "
        f"claimed are {CLAIMED_RATIO} times, 5 TB to 200 GB a day. The full batch grows with history, the window does not: if it read each "
        f"of its {setup.window_days} days once and nothing else, that would be {at_best:.1f} times less at {setup.days} days of history, "
        f"and {CLAIMED_RATIO} times at {needed}. It also reads the new rows, and the staged ones that they are held against."
    )
    console.print(
        f"\nTidemark finds its rows by key: [bold]{_beside(by_key, window)} the window.[/] Were it billed for columns of whole days, as "
        f"the others are: {_beside(by_column, window)} the window, and {_beside(by_column, comparison.outcome(STAGING))} staging with "
        "full aggregation, which is right too."
    )


def _beside(own: Outcome, other: Outcome) -> str:
    """The bytes of the last week."""
    ours, theirs = own.recent_bytes, other.recent_bytes
    return f"{theirs / ours:.1f} times less than" if ours <= theirs else f"{ours / theirs:.1f} times as much as"


def _show_wrong_days(console: Console, comparison: Comparison) -> None:
    wrong, setup = comparison.outcome(WINDOW).wrong_days, comparison.setup
    if not wrong:
        console.print("\n[bold]Every approach got every day right[/]: nothing that counts came later than the window.")
        return
    console.print(
        f"\n[bold]The window got {len(wrong)} of {setup.days} days wrong[/]: {count(comparison.late_rows(setup.window_days))} rows came "
        f"when it had left their day. In all it is off by {signed(sum(day.orders for day in wrong))} orders, "
        f"{signed(sum(day.touchpoints for day in wrong))} touchpoints, {_net(wrong)}. All others got every day right.\n"
    )
    worst = table(console.width, left=("worst days",), right=("orders", "touchpoints", "net"))
    for day in sorted(wrong, key=lambda day: (-sum(map(abs, day.net_cents.values())), day.day))[:_WORST]:
        worst.add_row(*cells(day.day, signed(day.orders), signed(day.touchpoints), _net([day])))
    console.print(worst)


def _net(days: Iterable[WrongDay]) -> str:
    sums: Counter[str] = Counter()
    for day in days:
        sums.update(day.net_cents)
    return ", ".join(f"{money(cents, currency, is_signed=True)} {currency}" for currency, cents in sorted(sums.items())) or "0"
