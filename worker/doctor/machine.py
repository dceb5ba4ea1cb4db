"""What the machine gives this process: memory, cores, open files; the versions it runs; time zones."""

import os
import platform
import resource
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import confluent_kafka
import duckdb

from worker import __version__
from worker.doctor.findings import Checks, Finding, ok, problem, warning


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is for this process, by the machine and by the control groups (containers) that it is in. memory: bytes."""

    memory: int
    cores: float
    open_files: int


def machine_checks(machine: Machine) -> Checks[None]:
    """All that is judged of the machine by itself."""
    yield from version_findings(_versions())
    yield zone_finding(zoneinfo.TZPATH, _tzdata_version())
    yield open_files_finding(machine.open_files)


def this_machine(root: Path = Path("/")) -> Machine:
    """As this process finds it; `root` is where /proc and /sys are."""
    groups = _groups(root)
    memory = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits(groups, ("memory.max", "memory.limit_in_bytes"))]
    cores = [float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1), *_quotas(groups)]
    return Machine(round(min(memory)), min(cores), resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _groups(root: Path) -> list[Path]:
    """The directories of this process's control groups and of those around them. (A container may see its own as the topmost one.)"""
    directories = []
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            top = root / "sys/fs/cgroup" / controllers
            inner = top / place.lstrip("/")
            directories += [inner, *(parent for parent in inner.parents if parent.is_relative_to(top))]
    return directories


def _limits(groups: Sequence[Path], names: Sequence[str]) -> Iterator[float]:
    for group in groups:
        for name in names:
            with suppress(OSError, ValueError):  # not there, or "max"
                yield int((group / name).read_text())


def _quotas(groups: Sequence[Path]) -> Iterator[float]:
    for group in groups:
        with suppress(OSError, ValueError):
            quota, period = (group / "cpu.max").read_text().split()
            yield int(quota) / int(period)
        with suppress(OSError, ValueError):
            quota, period = ((group / name).read_text() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
            if int(quota) > 0:
                yield int(quota) / int(period)


class Range(NamedTuple):
    """Versions that tidemark is tested with: from `least` on, before `untested`."""

    least: str
    untested: str


# By the names that `_versions` gives. The least are those of pyproject.toml.
RANGES: Mapping[str, Range] = {
    "python": Range("3.11", "3.15"),
    "duckdb": Range("2.0", "3"),
    "librdkafka": Range("2.16", "3"),
}


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "duckdb": duckdb.__version__, "librdkafka": confluent_kafka.libversion()[0]}


def version_findings(versions: Mapping[str, str]) -> Iterator[Finding]:
    """Whether each is one that tidemark is tested with."""
    remedy = "Install from requirements.lock."
    faults = []
    for name, version in versions.items():
        least, untested = RANGES[name]
        if _parts(version) < _parts(least):
            faults.append(problem("versions", f"{name} {version} is too old: {least} or later is needed", remedy))
        elif _parts(version) >= _parts(untested):
            faults.append(warning("versions", f"tidemark is not tested with {name} {version}", remedy))
    all_versions = ", ".join(f"{name} {version}" for name, version in {"tidemark": __version__, **versions}.items())
    yield from faults or [ok("versions", all_versions)]


def _parts(version: str) -> list[int]:
    """The leading numbers of a version."""
    parts: list[int] = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        parts.append(int(part))
    return parts


def _tzdata_version() -> str | None:
    try:
        return metadata.version("tzdata")
    except metadata.PackageNotFoundError:
        return None


def zone_finding(paths: Sequence[str], package: str | None) -> Finding:
    """Where time zones come from: the system's files go before the package."""
    system = next((path for path in paths if (Path(path) / "Europe").is_dir()), None)
    if system is None and package is None:
        return problem("time zones", "there is no time zone data", "Install the package tzdata, here or of the system.")
    if system is None:
        return ok("time zones", f"from the package tzdata {package}")
    return ok("time zones", f"from {system}; rules change, so keep the system's package up to date")


_FEW_OPEN_FILES = 1024


def open_files_finding(open_files: int) -> Finding:
    """The file and what it spills to, the connections to each broker, HTTP and admin clients."""
    if 0 <= open_files < _FEW_OPEN_FILES:
        found = f"at most {open_files} may be open at once (RLIMIT_NOFILE)"
        return warning("open files", found, f"Raise it for the worker: ulimit -n {_FEW_OPEN_FILES}, or LimitNOFILE= in its unit.")
    return ok("open files", f"{'any number' if open_files < 0 else f'{open_files:,}'} may be open at once")
