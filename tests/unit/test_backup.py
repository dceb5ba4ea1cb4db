"""Backup and restore: a copy is the file as of one commit, whoever writes meanwhile; it is whole or not there; damage is found."""

import hashlib
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from tests.support.commands import ROOT, command
from tests.support.copies import contents, contents_of, ended, filled, random_worker, serving, successor
from tests.support.worker import Worker, touch
from worker.errors import ExitCode
from worker.store.backup import manifest_path

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = filled(tmp_path)
    yield worker
    worker.close()


@pytest.fixture
def closed(worker: Worker) -> Worker:
    worker.close()
    return worker


@pytest.fixture(scope="module")
def whole_backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("backup")
    worker = filled(directory)
    worker.close()
    assert ended("backup", str(directory / "copy.duckdb"), path=of(worker)) == ExitCode.OK
    return directory / "copy.duckdb"


@pytest.fixture
def backup(whole_backup: Path, tmp_path: Path) -> Path:
    """Of the closed file, to be changed at will."""
    shutil.copyfile(manifest_path(whole_backup), manifest_path(tmp_path / "copy.duckdb"))
    return Path(shutil.copyfile(whole_backup, tmp_path / "copy.duckdb"))


def of(worker: Worker) -> Path:
    return worker.settings.store.path


def all_rows(worker: Worker) -> dict[str, list[tuple[Any, ...]]]:
    with worker.store.cursor() as connection:
        return contents(connection)


def left_over(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if "creating" in path.name)


# A copy is the file


@pytest.mark.parametrize("is_running", [True, False])
def test_a_backup_holds_what_the_file_holds(worker: Worker, tmp_path: Path, is_running: bool) -> None:
    there = all_rows(worker)
    assert {name for name, rows in there.items() if not rows} <= {"audit_result", "job", "rebuild_order", "rebuild_touchpoint"}
    if not is_running:
        worker.close()
    with serving(worker) if is_running else nullcontext():
        assert ended("backup", str(tmp_path / "copy.duckdb"), path=of(worker)) == ExitCode.OK
    assert contents_of(tmp_path / "copy.duckdb") == there
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("is_running", [True, False])
def test_a_restored_worker_goes_on_as_the_one_that_never_stopped(tmp_path: Path, seed: int, is_running: bool) -> None:
    worker, batches = random_worker(tmp_path, seed)
    for batch in batches[:2]:
        worker.feed(*batch)
    if not is_running:
        worker.close()
    with serving(worker) if is_running else nullcontext():
        assert ended("backup", str(tmp_path / "copy.duckdb"), path=of(worker)) == ExitCode.OK
    assert ended("restore", str(tmp_path / "copy.duckdb"), path=tmp_path / "restored.duckdb") == ExitCode.OK
    other = successor(worker, tmp_path / "other", tmp_path / "restored.duckdb")
    if not is_running:
        worker.reopen()
    for batch in batches[2:]:
        worker.feed(*batch)
        other.feed(*batch)
    assert all_rows(other) == all_rows(worker)
    assert other.differences() == []
    other.close()
    worker.close()


def test_a_table_without_rows_and_every_type_come_over_as_they_were(worker: Worker, tmp_path: Path) -> None:
    huge = 2**127 - 1
    worker.tamper("update daily_sales set net_cents = $huge, cost_cents = -$huge", huge=huge)
    worker.tamper("update rejected set headers = [{'name': 'x', 'value': '\\x00\\xFF'::blob}, {'name': '', 'value': null}]")
    worker.tamper("update rejected set key = null, value = ''::blob")
    worker.tamper("update touchpoint set customer_id = 'nul' || chr(0) || 'é😀'")
    there = all_rows(worker)
    with serving(worker):
        assert ended("backup", str(tmp_path / "copy.duckdb"), path=of(worker)) == ExitCode.OK
    assert contents_of(tmp_path / "copy.duckdb") == there


def test_rows_whose_day_is_null_come_over_too(worker: Worker, tmp_path: Path) -> None:
    """As an own mart may have them, of which the worker knows nothing more."""
    worker.tamper("create table own as select n, if(n > 1, date '2026-03-05', null) as day from range(4) as r(n)")
    there = all_rows(worker)
    worker.close()
    assert ended("backup", str(tmp_path / "copy.duckdb"), path=of(worker)) == ExitCode.OK
    assert contents_of(tmp_path / "copy.duckdb") == there


def test_rows_lie_in_order_of_their_days_however_they_came(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.feed(*(touch("c1", f"2026-03-{day:02}") for day in (9, 5, 7, 5, 9, 1)))
    worker.close()
    assert ended("backup", str(tmp_path / "copy.duckdb"), path=of(worker)) == ExitCode.OK
    with duckdb.connect(str(tmp_path / "copy.duckdb"), read_only=True) as connection:
        days = connection.execute("select day from touchpoint order by rowid").fetchall()
    assert days == sorted(days)


# Whole, or not there


def test_a_backup_takes_no_other_files_place(closed: Worker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("mine", "other.wal"):
        (tmp_path / name).write_text("mine")
    for name in ("mine", "other", of(closed).name, "nowhere/copy.duckdb"):
        assert ended("backup", str(tmp_path / name), path=of(closed)) == ExitCode.STORE
    assert capsys.readouterr().err.count("is there already, and is not overwritten") == 3
    assert (tmp_path / "mine").read_text() == "mine"
    assert left_over(tmp_path) == []


def test_a_full_disk_leaves_nothing_under_the_name(closed: Worker, tmp_path: Path, backup: Path) -> None:
    full = backup.stat().st_size // 2
    path = of(closed)
    for arguments in (
        ("backup", str(tmp_path / "second.duckdb")),
        ("--set", f"store.path={tmp_path / 'second.duckdb'}", "restore", str(backup)),
    ):
        found = subprocess.run(
            command(*arguments, path=path),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (full, full)),
        )
        assert (found.returncode, "can't be written" in found.stderr) == (ExitCode.STORE, True), found.stderr
        assert [name.name for name in tmp_path.glob("second*")] == []


def test_a_kill_leaves_nothing_under_the_name_or_all_of_it(closed: Worker, tmp_path: Path, seed: int) -> None:
    """Backups, and restores of the whole one; what the killed ones left does not block the next."""
    subprocess.run(
        [sys.executable, "-m", "tests.support.killed_copies", of(closed), tmp_path / "copies", str(seed), "4"],
        cwd=ROOT,
        check=True,
        timeout=240,
    )
    whole = contents_of(of(closed))
    left = sorted(path.name for path in (tmp_path / "copies").iterdir())
    print(left)
    assert "whole.duckdb" in left
    for path in (tmp_path / "copies").glob("*.duckdb"):
        assert contents_of(path) == whole
        if not path.name.startswith("restored"):
            assert manifest_path(path).exists()


# Restore


def restored(backup: Path, directory: Path) -> int:
    return ended("restore", str(backup), path=directory / "restored.duckdb")


def test_a_flipped_byte_is_found(backup: Path, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    for place in Random(seed).sample(range(backup.stat().st_size), 5):
        with backup.open("r+b") as file:
            file.seek(place)
            byte = file.read(1)
            file.seek(place)
            file.write(bytes([byte[0] ^ 1]))
        assert restored(backup, tmp_path) == ExitCode.STORE
        assert "is not as it was written" in capsys.readouterr().err
        assert list(tmp_path.glob("restored*")) == []
        with backup.open("r+b") as file:
            file.seek(place)
            file.write(byte)
    assert restored(backup, tmp_path) == ExitCode.OK


def test_a_backup_that_is_cut_off_or_without_manifest_is_refused(backup: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = manifest_path(backup)
    text = manifest.read_text()
    for faulty in ("", "{}", text[:-100]):
        manifest.write_text(faulty)
        assert restored(backup, tmp_path) == ExitCode.STORE
        assert "it is no manifest of a backup" in capsys.readouterr().err
    manifest.unlink()
    assert restored(backup, tmp_path) == ExitCode.STORE
    assert "copy both" in capsys.readouterr().err
    manifest.write_text(text)
    with backup.open("r+b") as file:
        file.truncate(backup.stat().st_size - 1)
    assert restored(backup, tmp_path) == ExitCode.STORE
    backup.unlink()
    assert restored(backup, tmp_path) == ExitCode.STORE
    assert "there is no backup" in capsys.readouterr().err
    assert list(tmp_path.glob("restored*")) == []


@pytest.mark.parametrize(
    ("tampered", "table"),
    [
        ("delete from daily_reach where rowid = 0", "daily_reach"),
        ("update touchpoint set hour = hour + 1 where rowid = 0", "touchpoint"),
        ("update order_current set items = list_reverse(items) where order_id <> 'order-gone'", "order_current"),
        ("insert into daily_users from daily_users limit 1", "daily_users"),
        ("drop table tombstone cascade", "tombstone"),
    ],
)
def test_tables_are_compared_too(backup: Path, tmp_path: Path, tampered: str, table: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As if the copy had been wrong from the beginning."""
    with duckdb.connect(str(backup)) as connection:
        connection.execute(tampered)
    rewrite_manifest(backup, sha256=hashlib.sha256(backup.read_bytes()).hexdigest())
    assert restored(backup, tmp_path) == ExitCode.STORE
    assert f"these tables are not what was copied: {table}" in capsys.readouterr().err


def test_of_another_version_of_duckdb_the_rows_are_counted(backup: Path, tmp_path: Path) -> None:
    sums = json.loads(manifest_path(backup).read_text())["tables"]
    other = {table: sum_ | {"checksum": "hashed otherwise"} for table, sum_ in sums.items()}
    rewrite_manifest(backup, tables=other)
    assert restored(backup, tmp_path) == ExitCode.STORE
    rewrite_manifest(backup, duckdb_version="1.5.0")
    assert restored(backup, tmp_path) == ExitCode.OK
    (tmp_path / "restored.duckdb").unlink()
    rewrite_manifest(backup, tables=other | {"daily_reach": {"rows": 0, "checksum": ""}})
    assert restored(backup, tmp_path) == ExitCode.STORE


def test_a_backup_of_an_older_version_is_restored(closed: Worker, tmp_path: Path) -> None:
    with duckdb.connect(str(of(closed))) as connection:
        connection.execute("delete from schema_migration where name > '0001_base'")
    assert ended("backup", str(tmp_path / "copy.duckdb"), path=of(closed)) == ExitCode.OK
    assert restored(tmp_path / "copy.duckdb", tmp_path) == ExitCode.OK


def test_a_backup_of_a_newer_version_is_refused(backup: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect(str(backup)) as connection:
        connection.execute("insert into schema_migration values ('9999_of_the_future', timestamp '2030-01-01')")
    rewrite_manifest(backup, sha256=hashlib.sha256(backup.read_bytes()).hexdigest())
    assert restored(backup, tmp_path) == ExitCode.STORE
    assert "was written by a newer tidemark: it has 9999_of_the_future" in capsys.readouterr().err


def rewrite_manifest(backup: Path, **facts: object) -> None:
    path = manifest_path(backup)
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


@pytest.mark.parametrize("name", ["worker.duckdb", "worker.duckdb.wal"])
def test_a_file_that_is_there_is_not_overwritten(backup: Path, closed: Worker, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    of(closed).rename(of(closed).with_name("before"))
    of(closed).with_name(name).write_text("mine")
    assert ended("restore", str(backup), path=of(closed)) == ExitCode.STORE
    assert f"{name} is there already, and is not overwritten\nMove it away" in capsys.readouterr().err
    assert of(closed).with_name(name).read_text() == "mine"


def test_nothing_is_restored_under_a_running_worker(worker: Worker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(worker):
        assert ended("backup", str(tmp_path / "copy.duckdb"), path=of(worker)) == ExitCode.OK
        of(worker).rename(of(worker).with_name("moved"))
        assert ended("restore", str(tmp_path / "copy.duckdb"), path=of(worker)) == ExitCode.STORE
    assert "a worker runs" in capsys.readouterr().err
    assert not of(worker).exists()


def test_a_file_that_came_meanwhile_is_left_alone(backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "restored.duckdb").write_text("mine")
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert restored(backup, tmp_path) == ExitCode.STORE
    assert (tmp_path / "restored.duckdb").read_text() == "mine"
