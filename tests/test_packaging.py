"""The locks are those of pyproject.toml and name no index; a wheel carries what the code reads."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUN, BUILD, DEV = "requirements.lock", "requirements-build.lock", "requirements-dev.lock"


def asked_for(lock: str) -> dict[str, Requirement]:
    """What pyproject.toml asks for in the environment that `lock` describes."""
    groups = PROJECT["dependency-groups"]
    lines = {
        RUN: PROJECT["project"]["dependencies"],
        BUILD: groups["build"],
        DEV: PROJECT["project"]["dependencies"] + groups["build"] + [line for line in groups["dev"] if isinstance(line, str)],
    }[lock]
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


def pinned(lock: str) -> dict[str, str]:
    """Name -> version of every package of a lock."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", (ROOT / lock).read_text(), re.MULTILINE))


def pinned_for_us(lock: str) -> set[str]:
    """The packages of a lock that stand there because pyproject.toml names them, by the lock's own notes."""
    entries = re.findall(r"^([a-z0-9-]+)==((?:.*\n)(?:[ ].*\n)*)", (ROOT / lock).read_text(), re.MULTILINE)
    return {name for name, notes in entries if "tidemark (pyproject.toml" in notes}


@pytest.mark.parametrize("lock", [RUN, BUILD, DEV])
def test_a_lock_holds_what_pyproject_asks_for_and_nothing_that_it_no_longer_asks_for(lock: str) -> None:
    versions = pinned(lock)
    wrong = [str(asked) for name, asked in asked_for(lock).items() if not asked.specifier.contains(versions.get(name, "0"))]
    assert not wrong, f"make lock: {wrong}"
    assert pinned_for_us(lock) == asked_for(lock).keys(), "make lock"


@pytest.mark.parametrize("lock", [RUN, BUILD])
def test_all_locks_agree(lock: str) -> None:
    assert pinned(lock).items() <= pinned(DEV).items()


@pytest.mark.parametrize("lock", [RUN, BUILD, DEV])
def test_a_lock_has_pins_hashes_and_notes_only_so_that_the_index_is_the_users_choice(lock: str) -> None:
    allowed = re.compile(r"[a-z0-9-]+==[\w.]+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?|    # .*")
    assert not [line for line in (ROOT / lock).read_text().splitlines() if not allowed.fullmatch(line)]


def test_every_package_that_the_worker_asks_for_is_imported_by_it() -> None:
    imports = re.compile(r"^\s*(?:from|import) (\w+)", re.MULTILINE)
    imported = {name.replace("_", "-") for path in (ROOT / "worker").rglob("*.py") for name in imports.findall(path.read_text())}
    data_only, import_names = {"tzdata"}, {"scikit-learn": "sklearn"}
    assert {import_names.get(package, package) for package in asked_for(RUN).keys() - data_only} <= imported


def test_a_wheel_finds_its_sql_and_schemas(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    installed = tmp_path / "installed"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(installed)
    look = "from worker import resources as r; print(r.schema_path('order')); print(r.sql_dir()); r.sql_text('migrations/0001_base')"
    environment = os.environ | {"PYTHONPATH": str(installed)}
    found = subprocess.run([sys.executable, "-c", look], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert all(line.startswith(str(installed)) for line in found.stdout.splitlines())
    for folder in ("sql", "schemas"):
        packed = {path.relative_to(installed / "worker") for path in (installed / "worker" / folder).rglob("*") if path.is_file()}
        assert packed == {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()}
