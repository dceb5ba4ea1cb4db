"""The DuckDB file, opened here and nowhere else: one transaction moves rows, aggregates, position, watermark and rejected messages."""

from worker.store.store import Store, StoreState, Transaction

__all__ = ["Store", "StoreState", "Transaction"]
