"""Replay: ranges of the log read again. A plan says which, as plain data; a feed reads them."""

from worker.replay.days import DayOffset, plan_rebuild
from worker.replay.feed import Pace, ReplayFeed, replay_feed
from worker.replay.plan import PLAN_COLUMNS, PlannedRange, ReplayPlan, ReplayRequest, moment, plan_replay

__all__ = [
    "PLAN_COLUMNS",
    "DayOffset",
    "Pace",
    "PlannedRange",
    "ReplayFeed",
    "ReplayPlan",
    "ReplayRequest",
    "moment",
    "plan_rebuild",
    "plan_replay",
    "replay_feed",
]
