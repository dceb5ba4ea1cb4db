"""The command line: `tidemark`. It reads the global options, hands over to worker.commands, and turns errors into exit codes."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from worker import __version__
from worker.commands import (
    Sources,
    audit,
    backfill,
    backup,
    compact,
    compare_approaches,
    config,
    demo,
    dlq,
    doctor,
    expired,
    explain,
    export,
    jobs,
    marts,
    query,
    replay,
    restore,
    run,
    schema,
    status,
    verify,
)
from worker.errors import ConfigError, ExitCode, TidemarkError
from worker.log import redacted, redacted_traceback
from worker.signals import ended_by_signals

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they would show local variables, secrets among them
    help="Exact per-day aggregates of orders and touchpoints from Kafka, in one DuckDB file.",
    epilog="Exit codes: " + ", ".join(f"{code.value} {code.name.lower()}" for code in ExitCode) + ".",
)
app.add_typer(config.app, name="config")
app.add_typer(schema.app, name="schema")
app.add_typer(jobs.app, name="jobs")
app.add_typer(marts.app, name="marts")
app.add_typer(dlq.app, name="dlq")
app.add_typer(expired.app, name="expired")
app.command()(run.run)
app.command()(replay.replay)
app.command()(backfill.backfill)
app.command()(compact.compact)
app.command()(demo.demo)
app.command()(doctor.doctor)
app.command()(status.status)
app.command()(explain.explain)
app.command()(query.query)
app.command()(audit.audit)
app.command("verify")(verify.verify_command)
app.command()(backup.backup)
app.command("restore")(restore.restore_command)
app.command()(export.export)
app.command()(compare_approaches.compare_approaches)


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
