"""`tidemark` as a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: str, path: Path, **settings: object) -> list[str]:
    """The command line for the file at `path`; `settings` are keys of the configuration, with __ for a dot."""
    assigned = {"store.path": path, **{name.replace("__", "."): value for name, value in settings.items()}}
    options = [word for name, value in assigned.items() for word in ("--set", f"{name}={value}")]
    return [sys.executable, "-c", "from worker.cli import main; main()", *options, *arguments]


def tidemark(*arguments: str, path: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(command(*arguments, path=path, **settings), cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
