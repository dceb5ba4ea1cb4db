"""tidemark config: what is in effect, and what is wrong with it."""

import typer

from worker.commands import AsJson, Sources, print_json_lines
from worker.commands.formats import print_rows
from worker.config.reference import reference
from worker.source.kafka import KafkaSource

app = typer.Typer(no_args_is_help=True, help="The settings in effect: show, validate.")


@app.command()
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Print every setting in effect and where it comes from; secrets are asterisks."""
    rows = context.ensure_object(Sources).read().rows()
    if as_json:
        print_json_lines({"key": row.key, "value": row.value, "origin": row.origin, "place": row.place} for row in rows)
    else:
        print_rows(["setting", "value", "origin"], [(row.key, row.value, row.place or row.origin) for row in rows])


@app.command()
def validate(context: typer.Context) -> None:
    """List every fault of the configuration at once, files that can't be read included. Exit code 2 if there is one."""
    loaded = context.ensure_object(Sources).read(check_files=True)
    KafkaSource(loaded.settings.kafka).close()  # what only librdkafka knows: the names and values of its options
    given = sorted({place for _, place in loaded.origins.values()})
    typer.echo(f"The configuration is valid ({', '.join(given) if given else 'all defaults'}).")


@app.command(hidden=True)
def docs() -> None:
    """Print docs/configuration.md."""
    typer.echo(reference(), nl=False)
