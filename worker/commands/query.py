"""tidemark query: one SELECT, through the worker if one runs, else from the file."""

import sys
from typing import Annotated

import pyarrow as pa
import typer

from worker.commands import AsJson, Sources
from worker.commands.formats import print_rows
from worker.commands.reading import query_rows
from worker.errors import ConfigError
from worker.serve.rows import plain_rows, write_csv, write_json

_SHOWN = 500  # rows of a table that is drawn


def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help='One SELECT, or "-" to read it from standard input. SHOW TABLES lists what there is.')],
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated, with a header.")] = False,
) -> None:
    """Ask one SELECT of the tables, beside a running worker too. Money is in integer minor units."""
    if as_json and as_csv:
        raise ConfigError("--json and --csv were given", "Choose one of them.")
    table = query_rows(context.ensure_object(Sources).settings(), sys.stdin.read() if sql == "-" else sql)
    if as_json:
        write_json(table, sys.stdout)
    elif as_csv:
        write_csv(table, sys.stdout)
    else:
        print_rows(table.column_names, plain_rows(table.slice(0, _SHOWN)), right=_numbers(table.schema))
        if table.num_rows > _SHOWN:
            typer.echo(f"{table.num_rows - _SHOWN:,} more rows: --json and --csv print all.", err=True)


def _numbers(schema: pa.Schema) -> list[str]:
    def is_number(kind: pa.DataType) -> bool:
        is_huge = isinstance(kind, pa.OpaqueType) and kind.type_name in {"hugeint", "uhugeint"}
        return is_huge or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)

    return [field.name for field in schema if is_number(field.type)]
