"""tidemark marts: the derived tables, how they stand, and bringing them up to date."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, TypeAlias

import typer

from worker.commands import AsJson, Sources, log_errors_alone, print_json_lines, shown
from worker.commands.formats import cells, count, counted, print_facts, print_rows, screen, table, utc
from worker.commands.reading import report_rows
from worker.config import Settings
from worker.errors import ConfigError, ExitCode, TidemarkError, Unavailable
from worker.marts.advice import DAYS, advise
from worker.marts.collection import all_marts, check, collected, mart_named
from worker.marts.definition import Mart, described, ordered, switched_off
from worker.marts.dictionary import dictionary
from worker.marts.refresh import RunState
from worker.marts.runner import mart_operations, runner_of
from worker.run import SYSTEM_CLOCK
from worker.serve.admin import NoWorker, ask
from worker.signals import Interrupted, Stop, signals_handled
from worker.store import Store
from worker.store.database import with_all_cores
from worker.store.reader import require_file
from worker.tables import TABLES

app = typer.Typer(help="Derived tables: cohorts, attribution, customer value, segments, products, sales, traffic.", no_args_is_help=True)

Ask: TypeAlias = Callable[[str, Mapping[str, Any]], Any]


class MartFailed(TidemarkError):
    """Something asked of all marts could not be done with one; its rows stay as they were."""

    exit_code = ExitCode.FAILED


def left_out(faults: Mapping[str, ConfigError], done: str) -> None:
    """Raises MartFailed where marts were left out of what was `done` with all, for their files are wrong."""
    if faults:
        told = "".join(f"\n{error}" for error in dict.fromkeys(map(str, faults.values())))
        raise MartFailed(f"{counted(len(faults), 'mart')} could not be {done}: {', '.join(sorted(faults))}{told}", "All else is done.")


@app.command("list")
def list_marts(context: typer.Context, as_json: AsJson = False) -> None:
    """All marts in the order of their refresh: the day that each shows, and what became of its last refresh."""
    settings = context.ensure_object(Sources).settings()
    stored = {row["mart"]: row for row in report_rows(settings, "marts").to_pylist()}
    found = collected(settings.marts)
    off = switched_off(found.marts, TABLES.keys() - settings.tables_on)
    rows = [_listed(mart, stored.get(mart.name, {}), off.get(mart.name)) for mart in ordered(found.marts.values())]
    rows += [_listed_undefined(name, stored.get(name, {}), "faulty", str(error)) for name, error in sorted(found.faults.items())]
    rows += [_listed_gone(stored[name]) for name in sorted(stored.keys() - found.marts.keys() - found.faults.keys())]
    if as_json:
        print_json_lines(rows)
        return
    made = table(screen().width, left=["mart", "unit", "schedule", "shows", "state"], right=["rows", "seconds"], last="message")
    for row in rows:
        shows = f"{row['as_of'] or ''}{' (provisional)' if row['is_provisional'] else ''}"
        numbers = "" if row["rows"] is None else count(row["rows"]), "" if row["seconds"] is None else f"{row['seconds']:.2f}"
        made.add_row(*cells(row["mart"], row["unit"], row["schedule"], shows, row["state"], *numbers, row["message"]))
    screen().print(made)


def _listed(mart: Mart, stored: Mapping[str, Any], missing_table: str | None) -> dict[str, Any]:
    return {
        "mart": mart.name,
        "purpose": mart.purpose,
        "unit": mart.unit.value,
        "schedule": mart.front.schedule,
        "internal": mart.front.internal,
        **_stands(stored),
        "state": "off" if missing_table else stored.get("state") or "never refreshed",
        "message": f"needs tables.{missing_table}, which is off" if missing_table else stored.get("message") or "",
    }


def _listed_gone(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A mart that nothing defines any more."""
    name = str(stored["mart"])
    return _listed_undefined(name, stored, "gone", f"nothing defines it: put its file back, or tidemark marts drop {name}")


def _listed_undefined(name: str, stored: Mapping[str, Any], state: str, message: str) -> dict[str, Any]:
    about = {"mart": name, "purpose": "", "unit": "", "schedule": "", "internal": False}
    return {**about, **_stands(stored), "state": state, "message": message}


def _stands(stored: Mapping[str, Any]) -> dict[str, Any]:
    as_of, refreshed_at = stored.get("as_of"), stored.get("refreshed_at")
    return {
        "as_of": as_of and as_of.isoformat(),
        "is_provisional": bool(stored.get("is_provisional")),
        "refreshed_at": utc(refreshed_at) or None,
        "rows": stored.get("rows"),
        "seconds": stored.get("seconds"),
    }


@app.command("describe")
def describe_mart(
    context: typer.Context, name: Annotated[str, typer.Argument(help="As tidemark marts list says it.")], as_json: AsJson = False
) -> None:
    """One mart: what it means, its grain and columns, what it reads."""
    found = collected(context.ensure_object(Sources).settings().marts)
    check([name], found.faults)
    facts = described(mart_named(name, found.marts))
    if as_json:
        print_json_lines([facts])
        return
    listed = {key: ", ".join(facts[key]) for key in ("grain", "reads", "parameters")}
    print_facts(f"{name}: {facts['purpose']}", [*listed.items(), *((key, facts[key]) for key in ("unit", "schedule", "formula"))])
    print_rows(["column", "unit", "meaning"], [(column, about["unit"], about["about"]) for column, about in facts["columns"].items()])
    for question in facts["questions"]:
        typer.echo(f"\n{question['ask']}\n  {question['sql']}")


@app.command("docs")
def document_marts(context: typer.Context) -> None:
    """Print docs/marts.md, the data dictionary, with your own marts in it."""
    settings = context.ensure_object(Sources).settings()
    typer.echo(dictionary(all_marts(settings.marts), settings), nl=False)


@app.command("refresh")
def refresh_marts(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Only these, after what they read. Default: all.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Compute all rows anew, not only what has changed.")] = False,
    refit: Annotated[bool, typer.Option("--refit", help="Fit models and clusters anew.")] = False,
    as_of: Annotated[str | None, typer.Option(metavar="DAY", help="Show the days up to this one. Default: the last closed day.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring marts up to date now, one after another; by the worker, if one runs. A mart that fails keeps its rows, and the others go on."""
    settings = context.ensure_object(Sources).settings()
    with _asking(settings) as asked:
        plan = asked("marts_plan", {"names": names or [], "as_of": as_of})
        failed = []
        for name, day in plan:
            outcome = asked("mart_refresh", {"name": name, "as_of": day, "is_full": full, "is_refit": refit})
            failed += [name] if outcome["state"] != RunState.DONE else []
            if as_json:
                print_json_lines([outcome])
            else:
                typer.echo(_told(outcome))
            sys.stdout.flush()
    if failed:
        raise MartFailed(f"{len(failed)} of {len(plan)} marts were not refreshed: {', '.join(failed)}", "They keep their rows.")
    left_out({} if names else collected(settings.marts).faults, "refreshed")


def _told(outcome: Mapping[str, Any]) -> str:
    if outcome["state"] != RunState.DONE:
        return f"{outcome['mart']}: {outcome['state']}: {shown(outcome['message'])}"
    written = f"{count(outcome['rows_written'])} rows written" if outcome["rows_written"] is not None else "a view"
    how = f" ({outcome['reason']})" if outcome["reason"] else ""
    provisional = ", provisional" if outcome["is_provisional"] else ""
    audits = "".join(f"\n  audit fails: {audit}" for audit in outcome["failed_audits"])
    return f"{outcome['mart']}: as of {outcome['as_of']}{provisional}, {written}{how} in {outcome['seconds']:.2f} s{audits}"


@contextmanager
def _asking(settings: Settings) -> Iterator[Ask]:
    """What has an operation on marts done: by the worker that holds the file, else by opening it, with all cores."""
    try:
        ask(settings.admin_socket, "status")
    except NoWorker:
        require_file(settings.store.path)
    else:
        patience = 2 * settings.marts.timeout.total_seconds() + 30  # for the refresh that is under way, too
        yield partial(ask, settings.admin_socket, seconds=patience)
        return
    log_errors_alone()
    settings = settings.model_copy(update={"store": with_all_cores(settings.store)})
    stop = Stop()
    with signals_handled(stop), closing(Store(settings, SYSTEM_CLOCK.now())) as store:
        operations = mart_operations(runner_of(settings, store.cursor, SYSTEM_CLOCK.now, stopped=stop.event))
        try:
            yield lambda operation, arguments: operations[operation](arguments)
        except Unavailable:
            if not stop.event.is_set():
                raise
        if stop.event.is_set():  # perhaps in the audits of the last mart, which are left out then
            raise Interrupted("stopped by a signal", "What was done before stays; all other marts keep their rows.")


@app.command("drop")
def drop_marts(
    context: typer.Context, names: Annotated[list[str], typer.Argument(help="Marts that tidemark marts list says are gone.")]
) -> None:
    """Drop the tables of marts that nothing defines any more, with what is kept of them; by the worker, if one runs."""
    with _asking(context.ensure_object(Sources).settings()) as asked:
        for name in names:
            asked("mart_drop", {"name": name})
            typer.echo(f"{name} is dropped")


@app.command("advise")
def advise_on_marts(context: typer.Context, as_json: AsJson = False) -> None:
    """Which marts are slow, unsteady, slower than they were or failing, by their refreshes of the last 30 days, and what to do."""
    settings = context.ensure_object(Sources).settings()
    since = SYSTEM_CLOCK.now().replace(tzinfo=None) - timedelta(days=DAYS)
    runs = report_rows(settings, "mart_runs", {"since": since.isoformat()}).to_pylist()
    marts = collected(settings.marts)
    found = advise(runs, marts.marts, marts.faults)
    if as_json:
        print_json_lines(asdict(advice) for advice in found)
    elif found:
        print_rows(["mart", "is", "because", "remedy"], [(advice.mart, advice.finding, advice.evidence, advice.remedy) for advice in found])
    else:
        typer.echo(f"Nothing is the matter with {len(runs):,} refreshes in {DAYS} days.")
