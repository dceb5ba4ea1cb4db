"""A DLQ in memory."""

from collections.abc import Sequence

from worker.source.dlq import Delivery, OutboxRow


class FakeDlq:
    """A DlqSink that takes everything, but nothing while `is_away`, and nothing of the topics that it `refuses`."""

    def __init__(self) -> None:
        self.rows: list[OutboxRow] = []
        self.is_away = False
        self.refuses: set[str] = set()

    def send(self, rows: Sequence[OutboxRow], timeout: float) -> Delivery:
        if self.is_away:
            return Delivery(frozenset(), {row.id: "the broker is away" for row in rows})
        taken = [row for row in rows if row.topic not in self.refuses]
        self.rows += taken
        return Delivery(frozenset(row.id for row in taken), {row.id: "there is no such topic" for row in rows if row not in taken})

    def close(self) -> None:
        pass
