"""An independent batch recomputation of every table in plain Python, written from the contract (docs/tables.md) alone.

Nothing here imports the worker or runs SQL: rows are dicts, tables are lists of rows, sums are Python integers. Its worth is that it
was written apart from the worker and is simple enough to be checked by eye.
"""

from tests.support.reference.accounting import Reference
from tests.support.reference.compare import KEYS, differences
from tests.support.reference.decoding import Row

__all__ = ["KEYS", "Reference", "Row", "differences"]
