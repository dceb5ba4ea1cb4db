"""The list of rejected messages: which of them are meant, taking them up again, giving them up."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import duckdb
import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from worker.errors import ConfigError
from worker.events import KeptMessage, Stage, Stream
from worker.store.sql import run


def _in_utc(at: datetime) -> datetime:
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


_Moment = Annotated[datetime, AfterValidator(_in_utc)]


class Selection(BaseModel):
    """Which rejected messages are meant: those for which all that is given here holds. None: whatever it is.

    `since`, `until`: of ingestion, UTC where they don't say. `file`: a path, or the last parts of one. `last_id`: none that were
    rejected later. `with_resolved`: also those that have left the list.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[int, ...] | None = None
    stream: Stream | None = None
    topic: str | None = None
    stage: Stage | None = None
    reason: str | None = None
    file: str | None = None
    since: _Moment | None = None
    until: _Moment | None = None
    last_id: int | None = None
    with_resolved: bool = False

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Selection":
        """From what JSON has. Raises ConfigError."""
        try:
            return cls.model_validate(arguments)
        except ValidationError as error:
            raise ConfigError(f"no such selection: {error.errors(include_input=False, include_url=False)}") from None

    def parameters(self) -> dict[str, Any]:
        """Those of sql/macros/rejected_matching.sql; what JSON has."""
        return self.model_dump(mode="json")


def ids_and_sizes(connection: duckdb.DuckDBPyConnection, selection: Selection, after: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The messages that are meant with ids greater than `after`, ascending, and the bytes of each."""
    found = run(connection, "state/rejected_ids", selection.parameters() | {"after": after}).fetchnumpy()
    return found["id"], found["bytes"]


def kept_messages(connection: duckdb.DuckDBPyConnection, ids: Sequence[int]) -> list[KeptMessage]:
    """These messages as they came, by id, without those that were resolved meanwhile."""
    return kept_from(run(connection, "state/rejected_messages", {"ids": list(ids)}).fetchall())


def kept_from(rows: Sequence[Sequence[Any]]) -> list[KeptMessage]:
    """Messages from the rows of sql/state/rejected_messages.sql or expired_messages.sql."""
    return [
        KeptMessage(
            id=kept_id,
            stream=Stream(stream),
            topic_name=topic,
            topic_id=topic_id,
            number=partition,
            place=offset,
            key_bytes=key,
            value_bytes=value,
            header_list=[(header["name"], header["value"]) for header in headers],
            timestamp_ms=timestamp_ms,
            file=file,
            row=row,
        )
        for kept_id, stream, topic, topic_id, partition, offset, key, value, headers, timestamp_ms, file, row in rows
    ]
