"""The configuration: whether it is valid, what of it is ignored, where secrets lie, and what is legal but unwise."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from worker.config import Loaded, Marts, Settings, duration_text, size_bytes
from worker.config.loading import SettingOrigin, ignored_variables, setting_of_variable
from worker.config.settings import read_secret
from worker.doctor.disk import is_readable_by_others
from worker.doctor.findings import Checks, Finding, counted, ok, problem, warning
from worker.doctor.machine import Machine
from worker.errors import ConfigError
from worker.marts.validation import faults
from worker.store.database import LEAST_PER_THREAD


def configuration_checks(load: Callable[[], Loaded], environment: Mapping[str, str]) -> Checks[Loaded]:
    """Reads the configuration by `load`, which raises ConfigError with all faults at once."""
    loaded = load()
    yield from ignored_findings(environment)
    unreadable = loaded.settings.file_faults()
    for fault in unreadable:
        yield problem(
            "configuration", f"{fault.keys[0]}: {fault.text}", "Make it, or make it readable for the worker's user; or correct the setting."
        )
    if not unreadable:
        places = sorted({place for _, place in loaded.origins.values()})
        yield ok("configuration", f"valid; from {', '.join(places) or 'the defaults alone'}")
    yield from secret_findings(loaded)
    return loaded


def mart_checks(settings: Marts) -> Checks[None]:
    """The files of the user's own marts, if they have a directory. Raises ConfigError where that is not there."""
    if settings.directory is None:
        return
    found = list(faults(settings))
    for fault in found:
        yield problem("marts", fault, "Mend the file; docs/marts.md says what a mart's file is. Other marts are not held up by it.")
    if not found:
        files = len(list(settings.directory.glob("*.sql")))
        yield ok("marts", f"nothing is wrong in {counted(files, 'file')} of your own in {settings.directory}")


def ignored_findings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """A variable whose value is like Kubernetes' own is ignored, even where it has a setting's name."""
    for name in ignored_variables(environment):
        if setting_of_variable(name):
            remedy = "Write host:port without tcp:// (Kubernetes sets such variables for its services, so they are let be)."
            yield warning("configuration", f"{name} is ignored: its value is a service's address", remedy)


def secret_findings(loaded: Loaded) -> Iterator[Finding]:
    """Secrets in files that others can read, that are empty, or that have white space around them."""
    files = _secret_files(loaded.settings)
    found = [finding for key, path in files.items() for finding in _secret_file(key, path)]
    written = sorted({place for key, (origin, place) in loaded.origins.items() if origin is SettingOrigin.FILE and _is_secret(key)})
    found += [
        warning("secrets", f"{place} holds a secret, and every user of this machine can read it", f"chmod 600 {place}")
        for place in written
        if is_readable_by_others(Path(place))
    ]
    yield from found
    if not found and (files or written):
        yield ok("secrets", f"{counted(len(files) + len(written), 'file')}, readable for their owner or group alone")


def _secret_files(settings: Settings) -> dict[str, Path]:
    registry = {"registry.password_file": settings.registry.password_file, "registry.token_file": settings.registry.token_file}
    files = {f"kafka.secret_files.{name}": path for name, path in settings.kafka.secret_files.items()}
    return files | {key: path for key, path in registry.items() if path is not None}


def _is_secret(key: str) -> bool:
    return key.startswith("kafka.secrets.") or key in {"registry.password", "registry.token"}


def _secret_file(key: str, path: Path) -> Iterator[Finding]:
    try:
        secret = read_secret(path, key)
    except ConfigError:
        return  # a fault of the configuration, told as such
    if not secret:
        yield problem("secrets", f"{key}: {path} is empty", "Write the secret into it.")
    elif secret != secret.strip():
        yield warning(
            "secrets", f"{key}: {path} begins or ends with white space, which is part of the secret", "Remove it if it is not meant."
        )
    if is_readable_by_others(path):
        remedy = f"chmod 600 {path}\nIn Kubernetes: defaultMode: 0400 of the volume."
        yield warning("secrets", f"{key}: every user of this machine can read {path}", remedy)


class Advice(NamedTuple):
    """Something legal and unwise: `found` says so of the settings on this machine, or nothing."""

    check: str
    found: Callable[[Settings, Machine], str | None]
    remedy: str


_MIB = 1 << 20
_PROCESS_BYTES = 250 * _MIB  # Python, its libraries, DuckDB's and librdkafka's own
_MESSAGE_BYTES = 2_000  # of a batch, decoded: two wait and one is merged
_LEAST_CHECKPOINT, _LEAST_BATCH = 16_000_000, 1_000
_LONG_LATENESS, _SHORT_AFTER_CLOSE = timedelta(days=7), timedelta(days=2)
_LONG_GUARD, _SHORT_IDLE = timedelta(days=1), timedelta(seconds=5)


def memory_needed(settings: Settings, machine: Machine) -> int:
    """Bytes that the process may come to hold."""
    own = size_bytes(settings.store.memory_limit, machine.memory) + settings.kafka.queue_kbytes * 1024
    return own + _PROCESS_BYTES + settings.batch.max_messages * _MESSAGE_BYTES


def _memory(settings: Settings, machine: Machine) -> str | None:
    needed = memory_needed(settings, machine)
    parts = "DuckDB's memory, librdkafka's queue, batches"
    text = f"the worker may come to hold {needed // _MIB:,} MiB ({parts}), and there are {machine.memory // _MIB:,}"
    return text if needed > machine.memory else None


def _memory_per_thread(settings: Settings, machine: Machine) -> str | None:
    store = settings.store
    is_little = size_bytes(store.memory_limit, machine.memory) < LEAST_PER_THREAD * store.threads
    return f"store.memory_limit, {store.memory_limit}, is little for {counted(store.threads, 'thread')}" if is_little else None


def _threads(settings: Settings, machine: Machine) -> str | None:
    more = settings.store.threads > max(machine.cores, 1)
    return f"store.threads is {settings.store.threads}, and there are {machine.cores:g} cores" if more else None


def _small_checkpoint(settings: Settings, _machine: Machine) -> str | None:
    threshold = settings.store.checkpoint_threshold
    return f"a checkpoint at every {threshold} is one at nearly every commit" if size_bytes(threshold) < _LEAST_CHECKPOINT else None


def _large_checkpoint(settings: Settings, machine: Machine) -> str | None:
    store = settings.store
    is_large = size_bytes(store.checkpoint_threshold) > size_bytes(store.memory_limit, machine.memory)
    return (
        f"the write-ahead log may grow to {store.checkpoint_threshold}, beyond store.memory_limit, {store.memory_limit}"
        if is_large
        else None
    )


def _small_batch(settings: Settings, _machine: Machine) -> str | None:
    most = settings.batch.max_messages
    return f"batch.max_messages is {most}: a commit costs as much for one message as for a thousand" if most < _LEAST_BATCH else None


def _long_lateness(settings: Settings, _machine: Machine) -> str | None:
    lateness = settings.time.allowed_lateness
    return f"a day closes {duration_text(lateness)} after its end, and marts count closed days alone" if lateness > _LONG_LATENESS else None


def _short_retention(settings: Settings, _machine: Machine) -> str | None:
    days, lateness = settings.retention.days, settings.time.allowed_lateness
    if days is None or timedelta(days=days) >= lateness + _SHORT_AFTER_CLOSE:
        return None
    left = duration_text(timedelta(days=days) - lateness)
    return (
        f"a closed day is sealed after {left} (retention.days {days}, allowed_lateness {duration_text(lateness)}): then late events expire"
    )


def _long_guard(settings: Settings, _machine: Machine) -> str | None:
    guard = settings.time.future_guard
    return f"one event dated {duration_text(guard)} ahead moves the watermark there and closes days early" if guard > _LONG_GUARD else None


def _short_idle(settings: Settings, _machine: Machine) -> str | None:
    idle = settings.time.idle_timeout
    text = f"a partition silent for {duration_text(idle)} no longer holds the watermark back, and its next events are late"
    return text if idle < _SHORT_IDLE else None


ADVICE = (
    Advice("memory", _memory, "Lower store.memory_limit, kafka.queue_kbytes or batch.max_messages, or give it more memory."),
    Advice("memory", _memory_per_thread, "Raise store.memory_limit, or lower store.threads: DuckDB wants at least 125 MB for each."),
    Advice("threads", _threads, "Lower store.threads: more than there are cores only wait for each other."),
    Advice("checkpoints", _small_checkpoint, "Raise store.checkpoint_threshold."),
    Advice("checkpoints", _large_checkpoint, "Lower store.checkpoint_threshold: the log is held in memory, and read again at the start."),
    Advice("batches", _small_batch, "Raise batch.max_messages: when caught up, batches are small by themselves."),
    Advice(
        "lateness", _long_lateness, "Lower time.allowed_lateness: later events are counted all the same, each by a re-merge of its day."
    ),
    Advice("lateness", _short_retention, "Raise retention.days."),
    Advice("lateness", _long_guard, "Lower time.future_guard."),
    Advice("lateness", _short_idle, "Raise time.idle_timeout."),
)


def advice_checks(settings: Settings, machine: Machine) -> Checks[None]:
    """What is legal but unwise on this machine."""
    unwise: set[str] = set()
    for advice in ADVICE:
        if found := advice.found(settings, machine):
            unwise.add(advice.check)
            yield warning(advice.check, found, advice.remedy)
    if fine := [check for check in dict.fromkeys(advice.check for advice in ADVICE) if check not in unwise]:
        needed, there = memory_needed(settings, machine) // _MIB, machine.memory // _MIB
        yield ok("settings", f"{', '.join(fine)}: fit this machine (at most {needed:,} of {there:,} MiB, {machine.cores:g} cores)")
