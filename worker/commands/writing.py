"""How commands have small things done to the file: by the worker that holds it, else by opening it. (What takes long is a job.)"""

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any, TypeVar

from worker.commands import log_errors_alone
from worker.committer import Committer
from worker.config import Settings
from worker.run import SYSTEM_CLOCK
from worker.serve.admin import NoWorker, ask
from worker.store import Store
from worker.store.reader import require_file

Result = TypeVar("Result")


def have_done(settings: Settings, operation: str, arguments: Mapping[str, Any], alone: Callable[[Committer, datetime], Result]) -> Result:
    """The worker's answer to `operation`, or what `alone` returns where no worker runs. Raises StoreError, Unavailable, and as these do."""
    try:
        result: Result = ask(settings.admin_socket, operation, arguments)
        return result
    except NoWorker:
        require_file(settings.store.path)
    log_errors_alone()
    now = SYSTEM_CLOCK.now()
    with closing(Store(settings, now)) as store:
        return alone(Committer(store, settings), now)
