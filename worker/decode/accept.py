"""What was read becomes events: derived columns are added, each row is held to the limits and has its origin. Whatever it was read from."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from worker.decode.calendar import ReportingZone
from worker.decode.cursor import Ints, SmallInts
from worker.decode.derive import derived
from worker.decode.validate import Fault, faults
from worker.events import EVENT_SCHEMAS, Stream


class Origins(NamedTuple):
    """Where each row came from: its index in MessageBatch.messages, partition and offset; -1 where it has none. All shape (n,)."""

    seq: Ints
    partitions: SmallInts  # int32
    offsets: Ints


def in_day_order(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The events of a stream as one batch, a day's together and else as they came: late rows are then neighbours in the file, and most of
    it is of one day. Where events have no day, as they came.
    """
    events = pa.concat_batches(batches)
    if "day" not in events.schema.names:
        return events
    days = events["day"].cast(pa.int32()).to_numpy(zero_copy_only=False)
    is_in_order = bool((days[:-1] <= days[1:]).all())
    return events if is_in_order else events.take(pa.array(np.argsort(days, kind="stable")))


def events_of(
    stream: Stream, read: pa.RecordBatch, origins: Origins, zone: ReportingZone, latest: int
) -> tuple[pa.RecordBatch, Sequence[Fault]]:
    """The rows within the limits as EVENT_SCHEMAS[stream], and the faults of the others, by their row in `read`.

    `read` has the columns of READER_ARROW[stream]; `latest` is the greatest time that is accepted, in UTC micros.
    """
    arrays = derived(stream, read, zone)
    arrays |= {name: pa.array(values) for name, values in zip(("seq", "partition", "offset"), origins, strict=True)}
    schema = EVENT_SCHEMAS[stream]
    events = pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=schema)
    broken = faults(stream, arrays, latest)
    if broken:
        is_whole = np.ones(len(events), np.bool_)
        is_whole[[fault.row for fault in broken]] = False
        events = events.filter(pa.array(is_whole))
    return events, broken
