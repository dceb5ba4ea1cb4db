"""The kinds of jobs, each with how it is put together from its row."""

import threading
from collections.abc import Callable, Mapping
from typing import TypeAlias

from worker.committer import Committer
from worker.config import Settings
from worker.errors import ConfigError
from worker.jobs.job import Committed, Job
from worker.jobs.runner import Maker
from worker.store.jobs import JobRow


def job_maker(settings: Settings, committer: Committer, committed: Committed) -> Maker:
    """Makes jobs that commit through `committer` and tell `committed` of each batch they merged."""

    def make(row: JobRow, abandoned: threading.Event) -> Job:
        if row.kind not in KINDS:
            raise ConfigError(f"job {row.id} is a {row.kind}, which this version does not know", f"It knows {', '.join(sorted(KINDS))}.")
        return KINDS[row.kind](row, settings, committer, committed, abandoned)

    return make


_Kind: TypeAlias = Callable[[JobRow, Settings, Committer, Committed, threading.Event], Job]

KINDS: Mapping[str, _Kind] = {}
