"""tidemark config: what is in effect, and what is wrong with it."""

import typer

from worker.commands import AsJson, Sources, print_json_lines
from worker.commands.formats import print_rows
from worker.config.reference import reference
from worker.errors import ConfigError
from worker.marts.validation import faults
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
    """List every fault of the configuration at once, files that can't be read and your own marts included. Exit code 2 if there is one."""
    loaded = context.ensure_object(Sources).read(check_files=True)
    if of_marts := list(faults(loaded.settings.marts)):
        raise ConfigError(
            "\n".join(of_marts), "Mend these files; docs/marts.md says what a mart's file is. Other marts are not held up by them."
        )
    KafkaSource(loaded.settings.kafka).close()  # what only librdkafka knows: the names and values of its options
    given = sorted({place for _, place in loaded.origins.values()})
    typer.echo(f"The configuration is valid ({', '.join(given) if given else 'all defaults'}).")


@app.command(hidden=True)
def docs() -> None:
    """Print docs/configuration.md."""
    typer.echo(reference(), nl=False)
