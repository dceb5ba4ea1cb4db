"""The house rules that no linter knows, as tests. Each rule is a function from a text to its faults, and is shown to find one."""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
Rule = Callable[[str, str], Iterator[str]]  # (path from the root, text) -> faults

PLAIN = {"events", "tables", "config", "errors", "metrics", "log", "resources"}
LAYERS = [
    PLAIN,
    {"source"},
    {"decode"},
    {"patience"},
    {"watermark"},
    {"aggregate"},
    {"store"},
    {"signals"},
    {"marts"},
    {"serve"},
    {"committer"},
    {"pipeline"},
    {"jobs"},
    {"run", "replay", "backfill", "dlq", "rebuild", "compact", "verify"},
    {"readmit"},
    {"telemetry", "outbox"},
    {"job_kinds"},
    {"service"},
    {"demo", "doctor"},
    {"approaches"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
LAYER_OF = {module: number for number, layer in enumerate(LAYERS) for module in layer}

# Where the clock of the wall may be read; everything else takes `now` as an argument.
EDGE = ("worker/run.py", "worker/demo/")

# One word per thing (docs/architecture.md, "Words"): what is not said -> what is.
WORDS = {
    r"(?<!log_)\bend_offset|high_?water_?mark|(?<!low_)\bhighwater": "log_end_offset",
    r"committed_offset": "next_offset",
    r"event_(ts|timestamp)\b": "event_time",
    r"\b(ingest(ed|ion)?_(time|ts|timestamp)|process(ed|ing)_(at|time|ts|timestamp))\b": "ingested_at",
    r"(consumer|kafka)_lag": "offset_lag",
    r"dead_?letter": "rejected (the message) or dlq (the topic)",
    r"poison|bad_(message|record|row)": "rejected",
    r"grace_period|max_lateness": "allowed_lateness",
    r"out_of_orderness": "watermark_delay",
    r"re_merg": "remerge",
    r"reprocess|re_read": "replay",
    r"reporting_timezone|reporting_tz": "reporting_time_zone",
    r"frozen_day|finali[sz]ed?_day": "closed (may change, with a revision) or sealed (may not)",
}


@cache
def nodes(text: str) -> list[ast.AST]:
    """All nodes of a module's syntax tree."""
    return list(ast.walk(ast.parse(text)))


def function_length(path: str, text: str) -> Iterator[str]:
    """A function has at most 70 lines."""
    for node in nodes(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > 70:
                yield f"{path}:{node.lineno}: {node.name} has {lines} lines; 70 are the limit"


def file_length(path: str, text: str) -> Iterator[str]:
    """A file has at most 500 lines."""
    if (lines := text.count("\n")) > 500:
        yield f"{path}: {lines} lines; 500 are the limit"


def layering(path: str, text: str) -> Iterator[str]:
    """A module of the worker imports only from its own layer and from those below it."""
    own = Path(path).with_suffix("").parts[1]
    if own == "__init__":
        return
    if own not in LAYER_OF:
        yield f"{path}: worker.{own} has no place in LAYERS"
        return
    for line, module in _imported_modules(text):
        is_below = module in LAYER_OF and LAYER_OF[module] < LAYER_OF[own]
        if not (is_below or module in PLAIN or module == own):
            yield f"{path}:{line}: {own} must not import worker.{module}"


def _imported_modules(text: str) -> Iterator[tuple[int, str]]:
    """(line, first name below `worker`) of every import, those for type checking included."""
    for node in nodes(text):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "worker":
            names = [f"worker.{alias.name}" for alias in node.names if not alias.name.startswith("__")]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        yield from ((node.lineno, name.split(".")[1]) for name in names if name.startswith("worker."))


def clock(path: str, text: str) -> Iterator[str]:
    """The clock is read at the edge; below it, time is an argument. Monotonic clocks measure durations and may be read."""
    if path.startswith(EDGE):
        return
    wall = re.compile(r"(^|\.)(datetime\.(now|utcnow|today)|date\.today|time\.(time|time_ns))$")
    for node in nodes(text):
        if isinstance(node, ast.Attribute) and wall.search(ast.unparse(node)):
            yield f"{path}:{node.lineno}: {ast.unparse(node)} below the edge; take `now` as an argument"
        elif isinstance(node, ast.ImportFrom) and node.module == "time" and {a.name for a in node.names} & {"time", "time_ns"}:
            yield f"{path}:{node.lineno}: the clock of the wall, imported by name"


def database(path: str, text: str) -> Iterator[str]:
    """Only worker/store/ opens DuckDB."""
    for node in nodes(text):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "duckdb.connect" and not path.startswith("worker/store/"):
            yield f"{path}:{node.lineno}: duckdb.connect outside worker/store/"


def bound_values(path: str, text: str) -> Iterator[str]:
    """Values reach SQL as bound parameters. Names (a table, a list of columns) may be put into the text, by an f-string."""
    value = re.compile(r"('|=|<|>|\blike|\blimit|\bbetween|\bin\s*\(|\bvalues\s*\()\s*$", re.IGNORECASE)
    for node in nodes(text):
        if isinstance(node, ast.JoinedStr):
            for before, hole in zip(node.values, node.values[1:], strict=False):
                if isinstance(hole, ast.FormattedValue) and _is_sql(node.values[0]) and value.search(_literal(before)):
                    yield f"{path}:{node.lineno}: a value in the text of a statement: {ast.unparse(hole.value)}"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_sql(node.left):
            yield f"{path}:{node.lineno}: % puts values into a statement"
        elif isinstance(node, ast.Attribute) and node.attr == "format" and _is_sql(node.value):
            yield f"{path}:{node.lineno}: format() puts values into a statement"


def _literal(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_sql(node: ast.expr) -> bool:
    return re.match(r"\s*(select|insert\s+into|merge\s+into|update|delete\s+from|with)\s", _literal(node), re.IGNORECASE) is not None


def broad_except(path: str, text: str) -> Iterator[str]:
    """Code that catches everything, and does not raise it again, says why in the line above."""
    lines = text.splitlines()
    for node in nodes(text):
        if not isinstance(node, ast.ExceptHandler) or isinstance(node.body[-1], ast.Raise):
            continue
        is_broad = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
        if is_broad and not lines[node.lineno - 2].lstrip().startswith("#"):
            yield f"{path}:{node.lineno}: catches everything, without a reason in the line above"


def sql_header(path: str, text: str) -> Iterator[str]:
    """A SQL file begins with `-- <what it makes>: what for`, and names its grain and what it reads or writes.

    What it makes is its file's name, but for the steps of a batch, several of which may make one table.
    """
    makes = r"[a-z_]+(, [a-z_]+)*" if path.startswith("sql/batch/") else re.escape(Path(path).stem)
    if not re.match(rf"-- {makes}: \S", text):
        yield f"{path}: does not begin with `-- {makes}: what for`"
    header = "\n".join(line for line in text.splitlines() if line.startswith("--"))
    if path.startswith(("sql/daily/", "sql/batch/")) and not ("grain:" in header and re.search(r"\b(reads|writes):", header)):
        yield f"{path}: its header lacks `grain:` or `reads:`/`writes:`"


def sql_clock(path: str, text: str) -> Iterator[str]:
    """SQL reads no clock and no dice: parameters are bound."""
    functions = r"\b(now|today|random|setseed|uuid|uuidv4|uuidv7|gen_random_uuid|get_current_time|get_current_timestamp)\s*\("
    keywords = r"\bcurrent_(date|time|timestamp)\b|\blocaltime(stamp)?\b"
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.search(f"{functions}|{keywords}", line.split("--")[0], re.IGNORECASE):
            yield f"{path}:{number}: {found[0]}"


def vocabulary(path: str, text: str) -> Iterator[str]:
    """One word per thing."""
    for number, line in enumerate(text.splitlines(), 1):
        for wrong, right in WORDS.items():
            if found := re.search(wrong, line, re.IGNORECASE):
                yield f"{path}:{number}: {found[0]}; the word is {right}"


def marks(path: str, text: str) -> Iterator[str]:
    """Nothing is left for later."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.search(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b", line):
            yield f"{path}:{number}: {found[0]}"


def machine(path: str, text: str) -> Iterator[str]:
    """No path of a developer's machine, no address of a package registry (the name space of a pom.xml is a name)."""
    where = r"""(?<![\w.$}])/(work|farm|home|Users|root)/\w|https?://(?!maven.apache.org/POM/)[^\s"']*(pypi|pythonhosted|maven|npmjs|golang|crates)"""
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.search(where, line):
            yield f"{path}:{number}: {found[0]}"


PYTHON: list[Rule] = [function_length]
WORKER: list[Rule] = [layering, clock, database, bound_values, broad_except, vocabulary]
SQL: list[Rule] = [sql_header, sql_clock, vocabulary]
CODE: list[Rule] = [file_length, marks, machine]  # Python, SQL and all other text

TEXT = {".py", ".sql", ".avsc", ".toml", ".yml", ".yaml", ".json", ".md", ".xml", ".properties", ".html", ".js", ".css", ".sh", ""}


def project_files() -> Iterator[tuple[str, str]]:
    """(path from the root, text) of every text file of the project."""
    folders = [ROOT / name for name in ("worker", "tests", "sql", "schemas", "examples", "deploy", "docs", ".ci")]
    for path in chain(ROOT.glob("*"), *(folder.rglob("*") for folder in folders)):
        if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts and path.name != "LICENSE":
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def rules_for(path: str) -> list[Rule]:
    """The rules that a file is held to, by where it lies."""
    if path.endswith(".py"):
        return CODE + PYTHON + (WORKER if path.startswith("worker/") else [])
    return CODE + SQL if path.endswith(".sql") else [marks, machine]


def test_the_project_keeps_its_rules() -> None:
    faults = [fault for path, text in project_files() for rule in rules_for(path) for fault in rule(path, text)]
    assert not faults, "\n" + "\n".join(faults)


def test_the_project_is_looked_at() -> None:
    seen = {path for path, _ in project_files()}
    assert {"worker/events.py", "tests/test_tidy.py", "Makefile", "pyproject.toml", ".ci/run", "sql/migrations/0001_base.sql"} <= seen


BAD: list[tuple[Rule, str, str]] = [
    (function_length, "worker/a.py", "def f():\n" + "    x = 1\n" * 70),
    (file_length, "worker/a.py", "x = 1\n" * 501),
    (layering, "worker/decode/avro.py", "from worker.store import Store\n"),
    (layering, "worker/events.py", "from worker import source\n"),
    (layering, "worker/watermark.py", "import worker.pipeline\n"),
    (layering, "worker/unheard_of.py", "x = 1\n"),
    (clock, "worker/pipeline.py", "from datetime import datetime\nnow = datetime.now(UTC)\n"),
    (clock, "worker/pipeline.py", "import time\ndef f(clock=time.time): ...\n"),
    (clock, "worker/pipeline.py", "from time import time\n"),
    (database, "worker/verify.py", "import duckdb\nc = duckdb.connect('x')\n"),
    (bound_values, "worker/store/a.py", "c.execute(f'select * from t where day = {day}')\n"),
    (bound_values, "worker/store/a.py", "c.execute(f\"select '{day}'\")\n"),
    (bound_values, "worker/store/a.py", "c.execute('select * from t where day = %s' % day)\n"),
    (bound_values, "worker/store/a.py", "c.execute('delete from t where day = {}'.format(day))\n"),
    (broad_except, "worker/run.py", "try:\n    f()\nexcept Exception:\n    pass\n"),
    (sql_header, "sql/daily/daily_sales.sql", "-- daily_reach: of another table. grain: day reads: t\nselect 1\n"),
    (sql_header, "sql/daily/daily_sales.sql", "-- daily_sales: no word about its grain\nselect 1\n"),
    (sql_clock, "sql/daily/a.sql", "select now()\n"),
    (sql_clock, "sql/daily/a.sql", "select Current_Date\n"),
    (vocabulary, "worker/source/kafka.py", "end_offset = 3\n"),
    (vocabulary, "sql/migrations/1.sql", "create table dead_letters (ingestion_time timestamp)\n"),
    (marks, "docs/a.md", "TO" + "DO: write this\n"),
    (machine, "docs/a.md", "see " + "/" + "home/ann/notes\n"),
    (machine, "pom.xml", "<url>https" + "://repo.maven.example/x</url>\n"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_a_rule_finds_its_fault(rule: Rule, path: str, text: str) -> None:
    assert list(rule(path, text))


GOOD: list[tuple[Rule, str, str]] = [
    (
        layering,
        "worker/store/file.py",
        "from worker import __version__, events\nfrom worker.aggregate import merge\nfrom worker.store.names import x\n",
    ),
    (layering, "worker/config.py", "from worker.events import Stream\n"),
    (clock, "worker/run.py", "from datetime import datetime\nnow = datetime.now(UTC)\n"),
    (clock, "worker/pipeline.py", "import time\nstarted = time.monotonic()\n"),
    (bound_values, "worker/store/a.py", "c.execute(f'insert into {table} ({columns}) select * from {table}_new where day = $day')\n"),
    (broad_except, "worker/run.py", "try:\n    f()\n# A broken page must not stop the worker.\nexcept Exception:\n    pass\n"),
    (broad_except, "worker/run.py", "try:\n    f()\nexcept BaseException:\n    roll_back()\n    raise\n"),
    (
        sql_header,
        "sql/daily/daily_sales.sql",
        "-- daily_sales: orders by day.\n-- grain: (day)   reads: a   writes: daily_sales\nselect 1\n",
    ),
    (sql_clock, "sql/daily/a.sql", "select x -- not now()\n"),
    (vocabulary, "worker/source/kafka.py", "log_end_offset = next_offset; ingested_at = x; low_watermark = 1\n"),
]


@pytest.mark.parametrize(("rule", "path", "text"), GOOD, ids=lambda value: getattr(value, "__name__", ""))
def test_a_rule_lets_good_code_be(rule: Rule, path: str, text: str) -> None:
    assert not list(rule(path, text))
