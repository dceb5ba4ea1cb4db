"""The marts' SQL means the same on DuckDB and on Spark, as far as sqlglot can tell; and what a header says of a SELECT is so."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from worker.config import Marts, Section
from worker.marts.definition import Mart, built_in, load_file, ordered, parse

EXAMPLES = Path(__file__).parents[2] / "examples" / "marts"
MARTS = [
    *(pytest.param(mart, id=name) for name, mart in built_in().items()),
    *(pytest.param(load_file(EXAMPLES / f"{name}.sql"), id=f"example {name}") for name in ("sales_pivot", "user_cohort")),
]

# What differs between the two without an error, or has no counterpart: not to be used in a mart.
BANNED = (
    exp.AnyValue,
    exp.ApproxDistinct,
    exp.ApproxQuantile,
    exp.CurrentDate,
    exp.CurrentTimestamp,
    exp.First,
    exp.ILike,
    exp.Last,
    exp.MD5,
    exp.Quantile,
    exp.Rand,
    exp.RegexpExtract,
    exp.RegexpLike,
    exp.RegexpReplace,
    exp.Round,
    exp.TimeToStr,
    exp.Comprehension,
)


def faults(sql: str) -> Iterator[str]:
    """Why a SELECT might mean something else on Spark."""
    try:
        tree = sqlglot.parse_one(sql, read="duckdb")
        (spark,) = sqlglot.transpile(sql, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
        sqlglot.parse_one(spark, read="spark")
    except sqlglot.errors.SqlglotError as error:
        yield f"has no counterpart: {error}"
        return
    for node in tree.walk():
        if isinstance(node, exp.Anonymous):
            yield f"{node.name}() is not known to sqlglot, so nobody writes it for Spark"
        elif isinstance(node, BANNED):
            yield f"{node.sql('duckdb')[:60]} is not the same"
        elif isinstance(node, exp.Star) and (node.args.get("except_") or node.args.get("except") or node.args.get("replace")):
            yield "select * except or replace"
        elif (
            isinstance(node, exp.ArgMax | exp.ArgMin) and not isinstance(node.this, exp.Struct) and not isinstance(node.parent, exp.Filter)
        ):
            yield f"{node.sql('duckdb')[:60]} without a filter (where .. is not null): nulls are not treated alike"
        elif isinstance(node, exp.Literal) and not node.is_string and not node.is_int and not isinstance(node.parent, exp.Cast):
            yield f"the decimal {node.this} is not cast to a double"
        elif isinstance(node, exp.Group) and node.args.get("all"):
            yield "group by all"


def statements(mart: Mart) -> Iterator[str]:
    yield mart.select
    yield from mart.helpers.values()


def tables(mart: Mart) -> set[str]:
    """The tables that its SELECTs name."""
    found = set()
    for sql in statements(mart):
        tree = sqlglot.parse_one(sql, read="duckdb")
        found |= {table.name for table in tree.find_all(exp.Table) if table.name} - {cte.alias for cte in tree.find_all(exp.CTE)}
    return found


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_is_right(mart: Mart) -> None:
    """Those that come with tidemark are not checked when a worker starts."""
    assert parse(mart.name, mart.text, mart.helpers) == mart


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_means_the_same_on_spark(mart: Mart) -> None:
    assert [fault for sql in statements(mart) for fault in faults(sql)] == []


@pytest.mark.parametrize("mart", MARTS)
def test_a_header_names_what_is_read(mart: Mart) -> None:
    assert set(mart.reads) == tables(mart)


@pytest.mark.parametrize("mart", MARTS)
def test_a_header_names_settings_that_there_are(mart: Mart) -> None:
    assert set(mart.parameters) <= Marts().parameters().keys()


def test_names_of_settings_are_unique_over_the_families() -> None:
    names = [name for _, family in Marts() if isinstance(family, Section) for name in type(family).model_fields]
    assert len(names) == len(Marts().parameters())


def test_no_mart_depends_on_itself() -> None:
    assert len(ordered(built_in().values())) == len(built_in())


@pytest.mark.parametrize(
    "sql",
    [
        "select round(a, 2) from t",
        "select 0.5 * a from t",
        "select any_value(a) from t",
        "select arg_max(a, b) from t",
        "select * exclude (a) from t",
        "select a, count(*) from t group by all",
        "select list_zip(a, b) from t",
        "select [x + 1 for x in a] from t",
        "select approx_count_distinct(a) from t",
        "select strftime(a, '%Y') from t",
        "select now()",
    ],
)
def test_what_is_not_the_same_is_found(sql: str) -> None:
    assert list(faults(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "select cast(0.5 as double) * a from t",
        "select arg_max(a, b) filter (where a is not null) from t",
        "select a, row_number() over (partition by a order by b desc, id) as rank from t qualify rank <= 3",
        "select date_diff('month', cast(date_trunc('month', a) as date), cast(date_trunc('month', b) as date)) from t",
        "select a, count(*) from t group by a",
    ],
)
def test_what_is_the_same_is_let_be(sql: str) -> None:
    assert not list(faults(sql))
