"""The functions of the attribution marts."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Any, TypeAlias

import pyarrow as pa

from worker.marts.functions import Refresh
from worker.marts.models.markov import CONVERSION, NULL, START, chain, shared_out

State: TypeAlias = tuple[str, str]  # channel and campaign
Counts: TypeAlias = Counter[tuple[State | str, State | str]]

ALL_CAMPAIGNS = "(all)"
_COLUMNS = pa.schema(
    [
        ("month", pa.date32()),
        ("states", pa.string()),
        ("channel", pa.string()),
        ("campaign", pa.string()),
        ("probability", pa.float64()),
        ("removal_effect", pa.float64()),
        ("share", pa.float64()),
        ("conversions", pa.float64()),
        ("credit_cents", pa.decimal128(38, 0)),
    ]
)


def attribution_markov(rows: pa.Table, refresh: Refresh) -> pa.Table:
    """`rows`: (month, previous_channel, previous_campaign, channel, campaign, converts, journeys), counts of transitions by campaign."""
    chains: dict[tuple[date, str], Counts] = defaultdict(Counter)
    for row in rows.to_pylist():
        here = (row["previous_channel"], row["previous_campaign"])
        there = (row["channel"], row["campaign"])
        end = {True: CONVERSION, False: NULL, None: None}[row["converts"]]
        for by, campaign_of in (("campaign", lambda state: state), ("channel", lambda state: (state[0], ALL_CAMPAIGNS))):
            step = (START if here[0] is None else campaign_of(here), end or campaign_of(there))
            chains[row["month"], by][step] += row["journeys"]
    values = {row["month"]: row for row in refresh.query("value").to_pylist()}
    found = [row for (month, by), counts in chains.items() if month in values for row in _credits(by, counts, values[month])]
    return pa.Table.from_pylist(found, schema=_COLUMNS)


def _credits(by: str, counts: Counts, value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of one month's chain; `value` has its conversions and what they are worth."""
    fitted = chain(counts)
    states = sorted(fitted.effects)
    total = sum(fitted.effects.values())
    shares = [fitted.effects[state] / total for state in states]
    for state, share, cents in zip(states, shares, shared_out(int(value["net_cents"]), shares), strict=True):
        yield {
            "month": value["month"],
            "states": by,
            "channel": state[0],
            "campaign": state[1],
            "probability": fitted.probability,
            "removal_effect": fitted.effects[state],
            "share": share,
            "conversions": share * value["conversions"],
            "credit_cents": cents,
        }
