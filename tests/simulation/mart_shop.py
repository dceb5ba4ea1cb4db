"""A shop of few customers over some months, made so that the marts' boundaries are met: windows that just hold a touch, and just don't."""

from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Any

from tests.support.messages import Draft
from tests.support.streams import MICROSECOND, Shop, StreamOptions

CUSTOMERS = ("c1", "c2", "C1", "c3", "(none)", "o'brien")
CROWD = (*CUSTOMERS, *(f"c{number}" for number in range(4, 24)))
CHANNELS = ("email", "paid", "organic", "direct")
EVENT_TYPES = (
    *("page_view",) * 5,
    *("ad_click",) * 4,
    *("email_click", "email_click", "product_view", "cart_add", "cart_add", "checkout_start", "purchase"),
    *("email_sent", "email_sent", "email_open", "review", "impression"),
)
STATUSES = ("PLACED", *("COMPLETED",) * 6, "REFUNDED", "CANCELLED", "DELETED")
PRICES = (0, 1, 3, 5, 100, 999, 20_000, 60_000)
NAMES = (None, "a", "b", "c")
# Between one event and another: nothing, the windows of attribution and of carts, 30 and 90 days, a year, and a microsecond beside them.
BESIDE = (
    *(timedelta(days=days) for days in (0, 0, 0, 1, 1, 2, 7, 30, 30, 90, 180, 365)),
    *(timedelta(minutes=minutes) for minutes in (1, 30, 600, 600)),
)


class MartShop(Shop):
    """Orders of small amounts, some of which refunds bring to nothing and below."""

    def __init__(self, random: Random, options: StreamOptions) -> None:
        super().__init__(random, options)
        self.customers = self._one((CUSTOMERS, CUSTOMERS, CROWD))
        self.moments: list[datetime] = []

    def _touchpoint(self) -> list[Draft]:
        occurred_at = self._moment()
        record: dict[str, Any] = {
            "event_id": self._event_id(),
            "customer_id": self._one((None, self._skewed(self.customers), self._skewed(self.customers))),
            "session_id": self._one(("s1", "s2", "S1")),
            "occurred_at": occurred_at,
            "event_type": self._one(EVENT_TYPES),
            "channel": self._one(CHANNELS),
            "campaign": self._one((None, "spring", "")),
            "product_id": self._one((None, "p1", "p2", "P1")),
            "cost_cents": self._one((None, None, 0, 7, 100)),
            "review_score": self._one((None, 1, 2, 5)),
        }
        return [self._event("touchpoints", record, record["event_id"], occurred_at)]

    def _order(self) -> list[Draft]:
        """Some versions of an order of one of a few ids, so that lives of orders overlap and move between customers."""
        ordered_at = self._moment()
        order_id = f"o{self.random.randrange(self.options.messages // 3)}"
        record: dict[str, Any] = {
            "order_id": order_id,
            "customer_id": self._skewed(self.customers),
            "ordered_at": ordered_at,
            "updated_at": ordered_at,
            "currency": self._one(("USD", "USD", "USD", "EUR")),
            **{name: self._one(NAMES) for name in ("customer_segment", "region", "country", "state", "city")},
            "items": [self._item() for _ in range(self._one((0, 1, 1, 2, 3)))],
            "tax_cents": self._one((0, 19)),
            "shipping_cents": 0,
        }
        told = []
        for _ in range(self._one((1, 1, 2, 3))):
            record = record | {name: self._one((0, 0, 1, 100, 1999)) for name in ("discount_cents", "refunded_cents")}
            record |= {"status": self._one(STATUSES), "updated_at": record["updated_at"] + self._one((timedelta(0), timedelta(hours=30)))}
            told.append(self._event("orders", record, order_id, record["updated_at"]))
            if self.random.random() < 0.1:
                told.append(self._tombstone("orders", order_id, record["updated_at"]))
            record |= {"customer_id": self._one((record["customer_id"],) * 6 + CUSTOMERS[:2])}
        return told

    def _item(self) -> dict[str, Any]:
        return {
            "product_id": self._one(("p1", "p2", "P1", "p3")),
            "category": self._one(NAMES),
            "subcategory": self._one(NAMES),
            "quantity": self._one((0, 1, 1, 2, 3)),
            "unit_price_cents": self._one(PRICES),
            "discount_cents": self._one((0, 0, 1, 50)),
            "unit_cost_cents": self._one((None, *PRICES)),
        }

    def _customer(self) -> list[Draft]:
        updated_at = self._moment()
        record: dict[str, Any] = {
            "customer_id": self._skewed((*self.customers, "silent")),
            **{name: self._one(NAMES) for name in ("name", "email", "city", "state", "country")},
            "customer_unique_id": self._one((None, "u1", "U1")),
            "signed_up_at": self._one((None, updated_at, updated_at - timedelta(days=40), updated_at + timedelta(days=90))),
            "updated_at": updated_at,
        }
        return self._dimension("customers", record, record["customer_id"])

    def _moment(self) -> datetime:
        """As elsewhere, or just at, or a microsecond beside, one of BESIDE from an event before."""
        at = super()._moment()
        if self.moments and self.random.random() < 0.7:
            at = self._one(self.moments) + self._one((1, -1)) * self._one(BESIDE) + self._one((0, 0, 1, -1)) * MICROSECOND
        first = datetime.combine(self.options.first_day, time(0), UTC)
        self.moments.append(min(max(at, first), first + timedelta(days=self.options.days)))
        return self.moments[-1]
