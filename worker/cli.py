"""The command line: `tidemark`. It reads the global options, hands over to worker.commands, and turns errors into exit codes."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from worker import __version__
from worker.commands import Sources
from worker.errors import ConfigError, ExitCode, TidemarkError
from worker.log import redacted, redacted_traceback
from worker.signals import ended_by_signals

# In worker.commands, in the order of the help.
_COMMANDS = {
    "run": "run:run",
    "replay": "replay:replay",
    "backfill": "backfill:backfill",
    "compact": "compact:compact",
    "demo": "demo:demo",
    "doctor": "doctor:doctor",
    "status": "status:status",
    "explain": "explain:explain",
    "query": "query:query",
    "audit": "audit:audit",
    "verify": "verify:verify_command",
    "backup": "backup:backup",
    "restore": "restore:restore_command",
    "export": "export:export",
    "compare-approaches": "compare_approaches:compare_approaches",
    "config": "config:app",
    "schema": "schema:app",
    "jobs": "jobs:app",
    "marts": "marts:app",
    "dlq": "dlq:app",
    "expired": "expired:app",
}


class _Commands(TyperGroup):
    """Each command is imported when it is asked for: a worker that starts does not wait for all the others."""

    def list_commands(self, _context: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: Any, name: str) -> Any:
        for each in [name] if name in _COMMANDS else _COMMANDS:  # of an unknown one all: it is likely to be misspelt
            if each not in self.commands:
                self.add_command(_imported(each), each)
        return super().get_command(context, name)


def _imported(name: str) -> Any:
    found, group = resolve_name(f"worker.commands.{_COMMANDS[name]}"), typer.Typer()
    if isinstance(found, typer.Typer):
        group.add_typer(found, name=name)
    else:
        group.command(name)(found)
    return typer.main.get_group(group).commands[name]


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they would show local variables, secrets among them
    help="Exact per-day aggregates of orders and touchpoints from Kafka, in one DuckDB file.",
    epilog="Exit codes: " + ", ".join(f"{code.value} {code.name.lower()}" for code in ExitCode) + ".",
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"tidemark {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    path: Annotated[Path | None, typer.Option("--config", help="Settings file. Default: TIDEMARK_CONFIG, else ./tidemark.toml.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting, e.g. store.path=shop.duckdb.")
    ] = None,
    _version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print it and end.")] = False,
) -> None:
    context.obj = Sources(path, dict(_assignment(text) for text in assignments or ()))


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text}: there is no =", "Write it as --set section.key=value.")
    return key.strip(), value


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and end the process with its exit code (errors.ExitCode)."""
    code: Any = ExitCode.OK
    if sys.stdout is None:  # who starts it has closed it
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    try:
        with ended_by_signals():
            app(args=arguments)
    except SystemExit as end:  # typer and rich make one of a broken pipe
        code = ExitCode.UNREAD if isinstance(end.__context__, BrokenPipeError) else end.code
    except TidemarkError as error:
        sys.stderr.write(redacted(f"tidemark: {error}\n"))
        code = error.exit_code
    # The edge of the process: whatever was not expected is a bug, and its traceback the report.
    except Exception as error:
        sys.stderr.write(redacted_traceback(error))
        code = ExitCode.UNEXPECTED
    if not _is_flushed():
        code = code or ExitCode.UNREAD
    sys.exit(code)


def _is_flushed() -> bool:
    """Whether what is still to be printed finds a reader; else it is dropped, lest Python complain of it at its very end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
