"""Where the file lies: the file system, the room on it, what was left behind there, and who may read it."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.config import Settings, size_bytes
from worker.doctor.findings import Checks, Finding, Level, counted, ok, problem, warning
from worker.serve.status import FileStatus


@dataclass(frozen=True, slots=True)
class Place:
    """The directory of the file. file_system: its type, "" where the system does not tell. free: bytes; free_files: inodes, if counted."""

    directory: Path
    file_system: str
    is_read_only: bool
    is_writable: bool
    free: int
    free_files: int | None


def disk_checks(settings: Settings, umask: int) -> Checks[None]:
    """All that can be told without writing; `umask` as a worker started from here would have it."""
    path = settings.store.path
    if not path.absolute().parent.is_dir():
        return  # told as a fault of the configuration
    place = _place(path.absolute().parent)
    yield from place_findings(place)
    yield room_finding(place, FileStatus.of(path), settings.store.checkpoint_threshold)
    yield from leftover_findings(path)
    yield from permission_findings(path, settings.admin_socket, umask)


def _place(directory: Path) -> Place:
    room = os.statvfs(directory)
    kinds = ""
    with suppress(OSError):  # only Linux has it
        kinds = file_system_of(directory.resolve(), Path("/proc/self/mountinfo").read_text())
    return Place(
        directory=directory,
        file_system=kinds,
        is_read_only=bool(room.f_flag & os.ST_RDONLY),
        is_writable=os.access(directory, os.W_OK | os.X_OK),
        free=room.f_bavail * room.f_frsize,
        free_files=room.f_favail if room.f_files else None,
    )


def file_system_of(directory: Path, mounts: str) -> str:
    """The type of the file system that a directory is on; `mounts` as /proc/self/mountinfo has them."""
    kinds = {}
    for line in mounts.splitlines():
        about, _, source = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), about.split()[4])
        kinds[Path(point)] = source.split()[0]  # a later one at the same point lies above
    return next((kinds[point] for point in (directory, *directory.parents) if point in kinds), "")


_NETWORK = "its locks may not hold between machines, and DuckDB is not made for it"
_NO_LINKS = "it has no hard links, by which the worker makes its file"

# File systems that a file should not be on, and why. Others are taken to be local disks.
UNFIT: Mapping[str, tuple[Level, str]] = {
    **dict.fromkeys(("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "lustre", "afs"), (Level.WARNING, _NETWORK)),
    **dict.fromkeys(("vfat", "exfat", "msdos"), (Level.PROBLEM, _NO_LINKS)),
    **dict.fromkeys(("tmpfs", "ramfs"), (Level.WARNING, "it is memory: the file is gone when the machine or container stops")),
    "overlay": (Level.WARNING, "it is the container's own layer: the file is gone with the container"),
}
_FUSE = (Level.WARNING, "it is in the hands of a program: whether locks and hard links hold, only that one knows")


def place_findings(place: Place) -> Iterator[Finding]:
    """Whether the directory can be written, and whether its file system is fit for a database."""
    if place.is_read_only:
        yield problem(
            "directory", f"{place.directory} is on a file system mounted read-only", "Mount it for writing, or name another store.path."
        )
    elif not place.is_writable:
        remedy = "Give the worker's user the right to write there (and run doctor as that user), or name another store.path."
        yield problem("directory", f"{place.directory} can't be written by this user", remedy)
    else:
        yield ok("directory", f"{place.directory} can be written")
    unfit = _FUSE if place.file_system.startswith("fuse.") else UNFIT.get(place.file_system)
    if unfit:
        level, why = unfit
        yield Finding(
            "file system", level, f"{place.directory} is on {place.file_system}: {why}", "Put the file on a local disk or block volume."
        )
    elif place.file_system:
        yield ok("file system", place.file_system)


_LEAST_FREE = 64 << 20


def room_finding(place: Place, file: FileStatus, checkpoint_threshold: str) -> Finding:
    """The log grows to the threshold and is then moved into the file; a backup or compact needs as much as the file again."""
    size, log = file.file_bytes, size_bytes(checkpoint_threshold)
    least, copy = 2 * log + _LEAST_FREE, size + file.wal_bytes + 2 * log
    remedy = "Free space, enlarge the disk, or let old rows go: retention.days, tidemark compact."
    if place.free_files == 0:
        return problem("disk", "no further file can be made there: the inodes are used up", "Delete files, or make a larger file system.")
    if place.free < least:
        return problem("disk", f"{_mib(place.free)} free; the write-ahead log and a checkpoint alone may take {_mib(least)}", remedy)
    if place.free < copy:
        return warning("disk", f"{_mib(place.free)} free; backup and compact may need {_mib(copy)}", remedy)
    return ok("disk", f"{_mib(place.free)} free; the file takes {_mib(size + file.wal_bytes)}")


def _mib(size: int) -> str:
    return f"{size >> 20:,} MiB"


def leftover_findings(path: Path) -> Iterator[Finding]:
    """What a process that was killed left beside the file: its name holds the process' number."""
    own = f"{path.name}."
    left = [each for each in sorted(path.parent.iterdir()) if each.name.startswith(own) and _is_left(each.name.removeprefix(own))]
    if left:
        found = f"{counted(len(left), 'file')} of a command that was killed: {', '.join(each.name for each in left)}"
        yield warning("leftovers", found, f"rm -r {' '.join(map(str, left))}")
    else:
        yield ok("leftovers", "none")


def _is_left(suffix: str) -> bool:
    """Temporary files of a process that is no more."""
    match = re.fullmatch(r"(\d+)\.creating(\.wal|\.tmp)?", suffix)
    return match is not None and not _runs(int(match[1]))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)  # signals nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    return True


def permission_findings(path: Path, admin_socket: Path, umask: int) -> Iterator[Finding]:
    """The file holds what customers' events hold, so not everybody should read it."""
    files = [each for each in (path, path.with_name(path.name + ".wal")) if each.exists()]
    names = " ".join(map(str, files))
    remedy = "Run the worker with umask 077, or keep the file in a directory that only its readers may enter."
    if not all(os.access(each, os.R_OK | os.W_OK) for each in files):
        yield problem("permissions", f"this user can't read and write {names}", "Run the worker (and doctor) as its owner.")
    elif any(is_readable_by_others(each) for each in files):
        yield warning("permissions", f"every user of this machine can read {names}: personal data", f"chmod 600 {names}\n{remedy}")
    elif files:
        yield ok("permissions", f"{path} is not for everybody to read (mode {stat.S_IMODE(path.stat().st_mode):04o}, or by its directory)")
    elif not umask & stat.S_IROTH and _others_can_enter(path.absolute().parent):
        yield warning("permissions", f"the file will hold personal data, and with umask {umask:03o} every user could read it", remedy)
    if admin_socket.is_socket() and stat.S_IMODE(admin_socket.stat().st_mode) & 0o077:
        yield problem("permissions", f"others may connect to {admin_socket}, and so ask and change everything", f"chmod 600 {admin_socket}")


def is_readable_by_others(path: Path) -> bool:
    """Whether any user may read the file: it, and all directories on the way to it, let them."""
    return bool(path.stat().st_mode & stat.S_IROTH) and _others_can_enter(path.resolve().parent)


def _others_can_enter(directory: Path) -> bool:
    directory = directory.resolve()
    return all(each.stat().st_mode & stat.S_IXOTH for each in (directory, *directory.parents))
