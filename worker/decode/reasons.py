"""Why a message is rejected: a closed set of labels."""

from enum import StrEnum

from worker.events import Stage


class Reason(StrEnum):
    """A metric's label, stored with the rejected message."""

    NULL_VALUE = "null_value"  # of a touchpoint
    BAD_FRAME = "bad_frame"  # no legible schema id
    BAD_TOMBSTONE = "bad_tombstone"  # a null value whose key or timestamp can't be used
    UNKNOWN_SCHEMA = "unknown_schema"
    REFUSED_SCHEMA = "refused_schema"  # not Avro, recursive, too large
    WRONG_SCHEMA = "wrong_schema"  # of another stream, or not compatible
    MALFORMED = "malformed"  # bytes that don't follow the schema
    EMPTY_ID = "empty_id"
    BAD_QUANTITY = "bad_quantity"
    BAD_AMOUNT = "bad_amount"
    BAD_TOTAL = "bad_total"  # gross or cost of an order
    BAD_SCORE = "bad_score"
    TOO_EARLY = "too_early"  # before 1980
    IN_FUTURE = "in_future"  # beyond the future guard

    @property
    def stage(self) -> Stage:
        return _STAGES.get(self, Stage.VALIDATE)


_STAGES = {
    Reason.NULL_VALUE: Stage.FRAME,
    Reason.BAD_FRAME: Stage.FRAME,
    Reason.BAD_TOMBSTONE: Stage.FRAME,
    Reason.UNKNOWN_SCHEMA: Stage.SCHEMA,
    Reason.REFUSED_SCHEMA: Stage.SCHEMA,
    Reason.WRONG_SCHEMA: Stage.SCHEMA,
    Reason.MALFORMED: Stage.DECODE,
}
