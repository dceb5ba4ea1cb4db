"""A DLQ in memory."""

from collections.abc import Sequence

from worker.source.dlq import Delivery, OutboxRow


class FakeDlq:
    """A DlqSink that takes everything, or nothing while `is_away`."""

    def __init__(self) -> None:
        self.rows: list[OutboxRow] = []
        self.is_away = False

    def send(self, rows: Sequence[OutboxRow], timeout: float) -> Delivery:
        if self.is_away:
            return Delivery(frozenset(), {row.id: "the broker is away" for row in rows})
        self.rows += rows
        return Delivery(frozenset(row.id for row in rows), {})

    def close(self) -> None:
        pass
