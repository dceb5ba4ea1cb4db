"""Backfill: files of an archive become portions of decoded events, in an order that is the same each time, from any row on."""

from worker.backfill.feed import ArchiveFeed
from worker.backfill.plan import ArchivePlan, plan_archive
from worker.decode.rows import OriginColumns

__all__ = ["ArchiveFeed", "ArchivePlan", "OriginColumns", "plan_archive"]
