"""From bytes to events: framing and schema ids, the columnar Avro decoder, schema sources, the contract's limits."""

from worker.decode.calendar import ReportingZone
from worker.decode.decoder import Decoder
from worker.decode.schemas import FileSchemas, NoSchema, SchemaSource

__all__ = ["Decoder", "FileSchemas", "NoSchema", "ReportingZone", "SchemaSource"]
