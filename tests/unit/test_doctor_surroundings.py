"""What doctor says of the machine, the configuration, the disk, the clock and where a worker listens: each check, well and ill."""

import os
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.findings import levels
from worker.config import Loaded, Settings, read, size_bytes
from worker.doctor.clock import clock_findings
from worker.doctor.configuration import advice_checks, configuration_checks, ignored_findings, secret_findings
from worker.doctor.disk import Place, disk_checks, file_system_of, leftover_findings, permission_findings, place_findings, room_finding
from worker.doctor.findings import Finding, Level
from worker.doctor.machine import RANGES, Machine, open_files_finding, this_machine, version_findings, zone_finding
from worker.doctor.serving import Port, port_at, port_finding, socket_findings
from worker.errors import ConfigError
from worker.metrics import Metrics
from worker.serve.admin import AdminServer
from worker.serve.http import HttpServer
from worker.serve.status import FileStatus, Status, StatusBoard

GIB = 1 << 30
PLENTY = Machine(memory=16 * GIB, cores=4, open_files=4096)
SECRET = "correct horse battery"


def the_one(findings: Iterable[Finding]) -> Finding:
    (finding,) = findings
    return finding


def settings(**keys: Any) -> Settings:
    return loaded(**keys).settings


def loaded(path: Path | None = None, environment: Mapping[str, str] | None = None, **keys: Any) -> Loaded:
    return read(path, {key.replace("__", "."): value for key, value in keys.items()}, environment or {})


# Machine


def test_versions_that_are_tested_are_fine() -> None:
    assert levels(version_findings({"python": "3.12.1", "duckdb": "2.0.3", "librdkafka": "2.17.0-RC1"})) == {"versions": Level.OK}


@pytest.mark.parametrize(("version", "level"), [("1.4.4", Level.PROBLEM), ("3.0.0", Level.WARNING), ("2.0.0.dev12", Level.OK)])
def test_a_version_that_is_too_old_is_a_problem_and_one_that_is_too_new_a_warning(version: str, level: Level) -> None:
    assert levels(version_findings({"duckdb": version})) == {"versions": level}


def test_the_least_versions_are_those_that_the_project_asks_for() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'requires-python = ">={RANGES["python"].least}"' in project
    assert f'"duckdb>={RANGES["duckdb"].least}"' in project
    assert f'"confluent-kafka>={RANGES["librdkafka"].least}"' in project


def test_time_zones_come_from_the_system_or_the_package_and_else_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "Europe").mkdir()
    assert zone_finding([str(tmp_path)], None).level is Level.OK
    assert zone_finding([], "2026.1").found == "from the package tzdata 2026.1"
    assert zone_finding([str(tmp_path / "none")], None).level is Level.PROBLEM


def test_few_open_files_are_a_warning() -> None:
    assert [open_files_finding(limit).level for limit in (256, 1024, -1)] == [Level.WARNING, Level.OK, Level.OK]


def files(root: Path, texts: Mapping[str, str]) -> Path:
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_container_has_the_memory_and_cores_of_its_control_group(tmp_path: Path) -> None:
    version_2 = {
        "proc/self/cgroup": "0::/pods/worker\n",
        "sys/fs/cgroup/pods/memory.max": "268435456\n",
        "sys/fs/cgroup/pods/worker/memory.max": "max\n",
        "sys/fs/cgroup/pods/worker/cpu.max": "50000 100000\n",
    }
    machine = this_machine(files(tmp_path / "2", version_2))
    assert (machine.memory, machine.cores) == (268_435_456, 0.5)
    version_1 = {
        "proc/self/cgroup": "4:memory:/a\n1:cpu,cpuacct:/a\n0::/\n",
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "134217728\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    assert this_machine(files(tmp_path / "1", version_1)).memory == 134_217_728


def test_without_control_groups_it_is_the_whole_machine(tmp_path: Path) -> None:
    assert this_machine(tmp_path).memory == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


# Configuration


def checked(environment: Mapping[str, str] | None = None, **keys: Any) -> list[Finding]:
    return list(configuration_checks(lambda: loaded(environment=environment, **keys), environment or {}))


def test_a_valid_configuration_says_where_it_comes_from() -> None:
    environment = {"TIDEMARK_KAFKA__GROUP_ID": "shop"}
    assert the_one(checked(environment)) == Finding("configuration", Level.OK, "valid; from TIDEMARK_KAFKA__GROUP_ID")


def test_an_unknown_variable_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="TIDEMARK_STORE_PATH: there is no such setting"):
        checked({"TIDEMARK_STORE_PATH": "x"})


def test_a_variable_that_is_ignored_though_it_names_a_setting_is_a_warning() -> None:
    finding = the_one(ignored_findings({"TIDEMARK_KAFKA__BOOTSTRAP_SERVERS": "tcp://broker:9092", "TIDEMARK_PORT": "tcp://10.0.0.1:80"}))
    assert (finding.level, finding.found) == (
        Level.WARNING,
        "TIDEMARK_KAFKA__BOOTSTRAP_SERVERS is ignored: its value is a service's address",
    )


def test_files_that_are_named_and_can_not_be_read_are_problems(tmp_path: Path) -> None:
    found = checked(registry__ca_file=str(tmp_path / "ca.pem"), store__path=str(tmp_path / "no" / "x.duckdb"))
    assert levels(found) == {"configuration": Level.PROBLEM}
    assert len(found) == 2


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """One that every user of this machine may enter (those of pytest are their owner's alone)."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def secret_file(directory: Path, text: str, mode: int) -> Loaded:
    path = directory / "password"
    path.write_text(text)
    path.chmod(mode)
    return loaded(kafka__secret_files={"sasl.password": str(path)})


@pytest.mark.parametrize(
    ("text", "mode", "level", "told"),
    [
        (SECRET, 0o600, Level.OK, "1 file"),
        (SECRET, 0o644, Level.WARNING, "every user of this machine can read"),
        ("", 0o600, Level.PROBLEM, "is empty"),
        (f" {SECRET}\n", 0o600, Level.WARNING, "begins or ends with white space"),
    ],
)
def test_what_is_said_of_a_file_of_a_secret(open_directory: Path, text: str, mode: int, level: Level, told: str) -> None:
    finding = the_one(secret_findings(secret_file(open_directory, text, mode)))
    assert (finding.level, told in finding.found) == (level, True)
    assert SECRET not in finding.found + finding.remedy


def test_a_directory_that_others_can_not_enter_keeps_a_secret(open_directory: Path) -> None:
    open_directory.chmod(0o700)
    assert levels(secret_findings(secret_file(open_directory, SECRET, 0o644))) == {"secrets": Level.OK}


def test_a_secret_in_a_configuration_that_everybody_reads_is_a_warning(open_directory: Path) -> None:
    path = open_directory / "tidemark.toml"
    path.write_text(f'[registry]\ntoken = "{SECRET}"\n')
    path.chmod(0o644)
    finding = the_one(secret_findings(loaded(path)))
    assert (finding.level, finding.remedy) == (Level.WARNING, f"chmod 600 {path}")
    path.chmod(0o640)
    assert levels(secret_findings(loaded(path))) == {"secrets": Level.OK}


def test_the_defaults_are_wise_on_a_machine_of_a_gigabyte_and_a_half() -> None:
    assert levels(advice_checks(Settings(), Machine(memory=3 * GIB // 2, cores=1, open_files=1024))) == {"settings": Level.OK}


@pytest.mark.parametrize(
    ("check", "keys"),
    [
        ("memory", {"store__memory_limit": "17GB"}),
        ("memory", {"kafka__queue_kbytes": 16 << 20}),
        ("memory", {"batch__max_messages": 10_000_000}),
        ("memory", {"store__memory_limit": "100MB", "store__checkpoint_threshold": "64MB"}),
        ("threads", {"store__threads": 5, "store__memory_limit": "2GB"}),
        ("checkpoints", {"store__checkpoint_threshold": "1MB"}),
        ("checkpoints", {"store__checkpoint_threshold": "1GB"}),
        ("batches", {"batch__max_messages": 10}),
        ("lateness", {"time__allowed_lateness": "10d"}),
        ("lateness", {"retention__days": 2}),
        ("lateness", {"time__future_guard": "30d"}),
        ("lateness", {"time__idle_timeout": "1s"}),
    ],
)
def test_what_is_legal_but_unwise_is_a_warning(check: str, keys: dict[str, Any]) -> None:
    found = levels(advice_checks(settings(**keys), PLENTY))
    assert found == {check: Level.WARNING, "settings": Level.OK}


@pytest.mark.parametrize(
    ("text", "size"), [("512MB", 512_000_000), ("1.5GiB", 1_610_612_736), ("64 kb", 64_000), ("2TiB", 2 << 40), ("60%", 600)]
)
def test_sizes_are_counted_as_duckdb_counts_them(text: str, size: int) -> None:
    assert size_bytes(text, whole=1000) == size


def test_a_share_of_memory_is_one_of_what_the_container_has() -> None:
    small = Machine(memory=GIB // 2, cores=1, open_files=1024)
    assert levels(advice_checks(settings(store__memory_limit="60%"), PLENTY)) == {"settings": Level.OK}
    assert levels(advice_checks(settings(store__memory_limit="60%"), small))["memory"] is Level.WARNING


# Disk


def place(**different: Any) -> Place:
    usual: dict[str, Any] = {"directory": Path("data"), "file_system": "ext4", "is_read_only": False, "is_writable": True, "free": 10 * GIB}
    return Place(**(usual | {"free_files": 1000} | different))


def test_a_local_disk_that_can_be_written_is_fine() -> None:
    assert levels(place_findings(place())) == {"directory": Level.OK, "file system": Level.OK}


@pytest.mark.parametrize("different", [{"is_read_only": True}, {"is_writable": False}])
def test_a_directory_that_can_not_be_written_is_a_problem(different: dict[str, Any]) -> None:
    assert levels(place_findings(place(**different)))["directory"] is Level.PROBLEM


@pytest.mark.parametrize(
    ("kind", "level"),
    [("xfs", Level.OK), ("nfs4", Level.WARNING), ("overlay", Level.WARNING), ("fuse.s3fs", Level.WARNING), ("vfat", Level.PROBLEM)],
)
def test_not_every_file_system_is_fit_for_a_database(kind: str, level: Level) -> None:
    assert levels(place_findings(place(file_system=kind)))["file system"] is level


def test_the_file_system_is_that_of_the_nearest_mount() -> None:
    mounts = "\n".join(
        [
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
            r"2 1 0:5 / /mnt/my\040data rw shared:1 - nfs4 server:/x rw",
            "3 1 0:6 / /mnt/memory rw - xfs /dev/sdb rw",
            "4 1 0:7 / /mnt/memory rw - tmpfs tmpfs rw",
        ]
    )
    found = [file_system_of(Path(path), mounts) for path in ("/var/lib", "/mnt/my data/a", "/mnt/memory")]
    assert found == ["ext4", "nfs4", "tmpfs"]


@pytest.mark.parametrize(
    ("free", "free_files", "level"),
    [
        (10 * GIB, 1000, Level.OK),
        (10 * GIB, None, Level.OK),
        (2 * GIB, 1000, Level.WARNING),
        (GIB // 4, 1000, Level.PROBLEM),
        (GIB, 0, Level.PROBLEM),
    ],
)
def test_the_room_must_do_for_the_log_and_should_do_for_a_copy(free: int, free_files: int | None, level: Level) -> None:
    file = FileStatus(path="x", file_bytes=2 * GIB, wal_bytes=0)
    assert room_finding(place(free=free, free_files=free_files), file, "256MB").level is level


def test_what_a_killed_command_left_is_told_and_what_a_running_one_makes_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    for name in ("a.duckdb", "a.duckdb.wal", f"a.duckdb.{os.getpid()}.creating", "b.duckdb.4000000.creating"):
        (tmp_path / name).touch()
    assert levels(leftover_findings(path)) == {"leftovers": Level.OK}
    (tmp_path / "a.duckdb.4000000.creating.wal").touch()
    finding = the_one(leftover_findings(path))
    assert (finding.level, finding.remedy) == (Level.WARNING, f"rm -r {tmp_path}/a.duckdb.4000000.creating.wal")


def test_a_file_that_everybody_reads_is_a_warning(open_directory: Path) -> None:
    path = open_directory / "a.duckdb"
    path.touch(mode=0o600)
    assert levels(permission_findings(path, open_directory / "s", 0o022)) == {"permissions": Level.OK}
    path.chmod(0o644)
    assert levels(permission_findings(path, open_directory / "s", 0o022)) == {"permissions": Level.WARNING}
    open_directory.chmod(0o700)
    assert levels(permission_findings(path, open_directory / "s", 0o022)) == {"permissions": Level.OK}


def test_a_file_to_be_is_judged_by_the_umask_and_the_directory(open_directory: Path) -> None:
    path = open_directory / "a.duckdb"
    assert levels(permission_findings(path, open_directory / "s", 0o022)) == {"permissions": Level.WARNING}
    assert levels(permission_findings(path, open_directory / "s", 0o077)) == {}
    open_directory.chmod(0o750)
    assert levels(permission_findings(path, open_directory / "s", 0o022)) == {}


def test_an_admin_socket_that_others_may_connect_to_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with AdminServer(path, {}):
        assert levels(permission_findings(tmp_path / "a.duckdb", path, 0o077)) == {}
        path.chmod(0o666)
        assert levels(permission_findings(tmp_path / "a.duckdb", path, 0o077)) == {"permissions": Level.PROBLEM}


def test_the_disk_is_looked_at_and_left_as_it_was(tmp_path: Path) -> None:
    before = (list(tmp_path.iterdir()), tmp_path.stat().st_mtime_ns)
    found = list(disk_checks(settings(store__path=str(tmp_path / "a.duckdb")), 0o077))
    assert levels(found)["directory"] is Level.OK
    assert (list(tmp_path.iterdir()), tmp_path.stat().st_mtime_ns) == before
    assert not list(disk_checks(settings(store__path=str(tmp_path / "no" / "a.duckdb")), 0o077))  # the configuration tells of it


# Clock

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("ahead", "level"),
    [(timedelta(seconds=2), Level.OK), (-timedelta(minutes=5), Level.WARNING), (HOUR * 2, Level.PROBLEM), (-HOUR * 2, Level.PROBLEM)],
)
def test_the_clock_is_held_beside_the_registrys(ahead: timedelta, level: Level) -> None:
    assert levels(clock_findings(ahead, {}, HOUR)) == {"clock": level}


@pytest.mark.parametrize(
    ("newest_ahead", "level"),
    [(-HOUR * 1000, Level.OK), (timedelta(minutes=5), Level.WARNING), (HOUR * 2, Level.PROBLEM)],
)
def test_messages_of_the_future_say_that_a_clock_is_wrong(newest_ahead: timedelta, level: Level) -> None:
    assert levels(clock_findings(None, {"orders": newest_ahead}, HOUR)) == {"clock": level}


def test_without_anything_to_compare_it_with_nothing_is_said_of_the_clock() -> None:
    assert levels(clock_findings(None, {}, HOUR)) == {"clock": Level.SKIPPED}


# Where a worker listens


def worker_of(path: Path) -> Status:
    return Status(file=FileStatus.of(path))


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        number: int = listener.getsockname()[1]
    return number


def said_of_port(tmp_path: Path, number: int, worker: Status | None, **keys: Any) -> Finding:
    own = settings(store__path=str(tmp_path / "a.duckdb"), serve__port=number, **keys)
    return port_finding(own, port_at(own.serve), worker)


def test_a_port_that_is_free_is_fine_unless_a_worker_should_be_there(tmp_path: Path) -> None:
    assert said_of_port(tmp_path, free_port(), None).level is Level.OK
    assert {said_of_port(tmp_path, 0, worker).level for worker in (None, worker_of(tmp_path / "a.duckdb"))} == {Level.OK}
    assert said_of_port(tmp_path, free_port(), worker_of(tmp_path / "a.duckdb")).level is Level.WARNING


def test_a_port_of_another_program_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.doctor.serving.SECONDS", 0.1)  # it never answers
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        assert said_of_port(tmp_path, other.getsockname()[1], None).level is Level.PROBLEM


def test_an_address_that_is_not_of_this_machine_is_a_problem(tmp_path: Path) -> None:
    assert said_of_port(tmp_path, 9464, None, serve__host="192.0.2.1").level is Level.PROBLEM


@pytest.mark.parametrize(
    ("file", "is_known", "level"),
    [("a.duckdb", True, Level.OK), ("a.duckdb", False, Level.WARNING), ("b.duckdb", True, Level.PROBLEM), (None, True, Level.PROBLEM)],
)
def test_who_listens_at_the_port(tmp_path: Path, file: str | None, is_known: bool, level: Level) -> None:
    own = settings(store__path=str(tmp_path / "a.duckdb"))
    listener = Port(is_taken=True, file=str(tmp_path / file) if file else None)
    assert port_finding(own, listener, worker_of(tmp_path / "a.duckdb") if is_known else None).level is level


def test_a_worker_that_was_started_in_another_directory_is_known_by_what_it_says_itself(tmp_path: Path) -> None:
    worker = worker_of(Path("data/a.duckdb"))
    own = settings(store__path=str(tmp_path / "data" / "a.duckdb"))
    assert port_finding(own, Port(is_taken=True, file="data/a.duckdb"), worker).level is Level.OK


def test_a_worker_is_known_by_its_status_page(tmp_path: Path) -> None:
    board = StatusBoard()
    board.publish(worker_of(tmp_path / "a.duckdb"))
    with HttpServer(settings(serve__port=0).serve, Metrics().registry, board) as server:
        number = int(server.url.rpartition(":")[2])
        assert said_of_port(tmp_path, number, worker_of(tmp_path / "a.duckdb")).found == f"the worker listens at 127.0.0.1:{number}"


def test_what_is_at_the_admin_sockets_path(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    assert the_one(socket_findings(path, None)).found == f"{path} is free"
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(path))
    assert "was left by a worker that was killed" in the_one(socket_findings(path, None)).found
    assert the_one(socket_findings(path, Status())).found == f"a worker answers at {path}"
    path.unlink()
    path.touch()
    assert the_one(socket_findings(path, None)).level is Level.PROBLEM
    assert levels(socket_findings(tmp_path / ("s" * 104), None)) == {"admin socket": Level.WARNING}
