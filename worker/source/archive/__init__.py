"""Archives: directories of Avro and Parquet files, as a Kafka Connect sink or an analyst wrote them."""

from worker.source.archive.container import Block, Container
from worker.source.archive.layout import ArchiveFile, Format, Found, Packing, find
from worker.source.archive.table import Table
from worker.source.archive.unpack import opened

__all__ = ["ArchiveFile", "Block", "Container", "Format", "Found", "Packing", "Table", "find", "opened"]
