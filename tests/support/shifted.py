"""`tidemark` by a clock that is behind: python -m tests.support.shifted ARGUMENTS, with the seconds in TIDEMARK_TEST_CLOCK_SHIFT."""

import os
import time
from datetime import UTC, datetime, timedelta

import worker.run

SHIFT = timedelta(seconds=float(os.environ["TIDEMARK_TEST_CLOCK_SHIFT"]))

if __name__ == "__main__":
    worker.run.SYSTEM_CLOCK = worker.run.Clock(lambda: datetime.now(UTC) - SHIFT, time.monotonic)
    from worker.cli import main  # only now: others bind the clock when they are imported

    main()
