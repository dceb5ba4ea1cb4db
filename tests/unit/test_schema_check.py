"""What becomes of a writer's schema, field by field; and the command that says so before it is registered."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.support.avro import RandomAvro
from tests.support.fake_registry import FakeRegistry, fake_registry
from tests.support.messages import EPOCH, WRITERS, WRITERS_OF, Produced, framed, touchpoint
from tests.support.mock_broker import mock_broker
from tests.support.produce import send
from tests.support.shell import Shell
from worker.decode.avro import parse
from worker.decode.plan import NotColumnar, Unresolvable, resolve
from worker.decode.readings import READERS, reader_text
from worker.doctor import roundtrip
from worker.doctor.findings import Level
from worker.doctor.places import lines_of
from worker.doctor.roundtrip import Read, self_check, self_check_finding
from worker.doctor.schema import FieldVerdict, SchemaVerdict, examined
from worker.errors import ExitCode
from worker.events import Stream

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

Json = Any


def writer(stream: Stream, **types: Json) -> Json:
    """The reader's schema as a writer's, with fields of other types; a field of type None is left out."""
    schema = json.loads(reader_text(stream))
    fields = [field for field in schema["fields"] if types.get(field["name"], "") is not None]
    for field in fields:
        if field["name"] in types:
            field["type"] = types[field["name"]]
            field.pop("default", None)
    names = [field["name"] for field in fields]
    fields += [{"name": name, "type": kind} for name, kind in types.items() if kind is not None and name not in names]
    return schema | {"fields": fields}


def order_with_item(**types: Json) -> Json:
    """The reader's order as a writer's, with fields of items of other types; a field of type None is left out."""
    schema = json.loads(reader_text(Stream.ORDERS))
    item = schema["fields"][-1]["type"]["items"]
    item["fields"] = [
        field | ({"type": types[field["name"]]} if field["name"] in types else {})
        for field in item["fields"]
        if types.get(field["name"], "") is not None
    ]
    return schema


def verdict_on(schema: Json, stream: Stream | None = None) -> SchemaVerdict:
    return examined(json.dumps(schema), stream)


def field(verdict: SchemaVerdict, name: str) -> FieldVerdict:
    (found,) = [each for each in verdict.fields if each.field == name]
    return found


@pytest.mark.parametrize("stream", Stream)
def test_the_readers_own_schema_is_read_as_it_is(stream: Stream) -> None:
    verdict = examined(reader_text(stream))
    assert (verdict.stream, verdict.level, verdict.is_columnar) == (stream, Level.OK, True)
    assert not [each for each in verdict.fields if each.note]


@pytest.mark.parametrize("number", WRITERS)
def test_writers_that_evolved_under_the_rule_are_read_in_columns(number: int) -> None:
    verdict = verdict_on(WRITERS[number])
    assert (verdict.level, verdict.is_columnar) == (Level.OK, True)
    assert number in WRITERS_OF[str(verdict.stream)]


def test_a_needed_field_that_is_not_written_is_a_problem_with_the_line_to_add() -> None:
    verdict = verdict_on(writer(Stream.TOUCHPOINTS, session_id=None, sessionId="string"))
    assert (verdict.level, verdict.way) == (Level.PROBLEM, "every message would be rejected, for session_id")
    missing = field(verdict, "session_id")
    assert missing.note == 'not written, and the reader needs it; did you mean "sessionId"?'
    assert missing.remedy.splitlines()[-1] == '{"name":"session_id","type":"string","default":""}'
    assert field(verdict, "sessionId").note == "ignored: the reader has no such field"


def test_all_faults_are_told_and_not_only_the_first() -> None:
    schema = order_with_item(quantity="double", product_id=None)
    schema["fields"] = [each for each in schema["fields"] if each["name"] != "currency"]
    faults = {each.field for each in verdict_on(schema).fields if each.level is Level.PROBLEM}
    assert faults == {"currency", "items.quantity", "items.product_id"}


def test_an_optional_field_that_is_not_written_is_null() -> None:
    assert field(verdict_on(WRITERS[2]), "page_type").note == "not written, null in every row"


@pytest.mark.parametrize(
    ("stream", "name", "kind", "level", "told"),
    [
        (Stream.ORDERS, "discount_cents", "int", Level.OK, "int, widened to long"),
        (Stream.ORDERS, "discount_cents", "double", Level.PROBLEM, "double, which can't be read as int64"),
        (Stream.ORDERS, "discount_cents", {"type": "bytes", "logicalType": "decimal", "precision": 9}, Level.PROBLEM, "bytes, which can't"),
        (Stream.ORDERS, "currency", "bytes", Level.OK, "bytes, read as UTF-8; others are rejected"),
        (Stream.ORDERS, "currency", ["null", "string"], Level.WARNING, "a message with null here is rejected"),
        (Stream.ORDERS, "currency", ["string", "int"], Level.WARNING, "a message with a value of type int here is rejected"),
        (Stream.ORDERS, "currency", ["null", "int"], Level.PROBLEM, "which can't be read as string"),
        (Stream.ORDERS, "region", ["null"], Level.WARNING, "null in every message"),
        (Stream.ORDERS, "updated_at", {"type": "long", "logicalType": "timestamp-millis"}, Level.OK, "milliseconds, made microseconds"),
        (Stream.ORDERS, "updated_at", "long", Level.WARNING, "without a logicalType, taken for microseconds"),
        (Stream.ORDERS, "updated_at", {"type": "long", "logicalType": "timestamp-nanos"}, Level.PROBLEM, "far in the future"),
        (Stream.ORDERS, "updated_at", {"type": "long", "logicalType": "local-timestamp-micros"}, Level.WARNING, "taken for UTC"),
        (Stream.ORDERS, "updated_at", {"type": "int", "logicalType": "date"}, Level.PROBLEM, "no moment in time"),
        (Stream.ORDERS, "items", {"type": "array", "items": "string"}, Level.PROBLEM, "not an array of OrderItem"),
        (Stream.ORDERS, "status", {"type": "enum", "name": "S", "symbols": ["PLACED", "COMPLETED"]}, Level.OK, "an enum, read as text"),
        (
            Stream.ORDERS,
            "status",
            {"type": "enum", "name": "S", "symbols": ["PLACED", "PAID"]},
            Level.OK,
            "nothing special to the tables: PAID",
        ),
        (
            Stream.ORDERS,
            "status",
            {"type": "enum", "name": "S", "symbols": ["PLACED", "completed"]},
            Level.WARNING,
            "spelt so, mean nothing to the tables: completed",
        ),
        (Stream.TOUCHPOINTS, "event_type", {"type": "enum", "name": "S", "symbols": ["VIEW"]}, Level.WARNING, "all mean nothing"),
    ],
)
def test_what_is_said_of_a_field(stream: Stream, name: str, kind: Json, level: Level, told: str) -> None:
    found = field(verdict_on(writer(stream, **{name: kind})), name)
    assert (found.level, told in found.note) == (level, True), found


def test_a_field_of_a_wrong_type_comes_with_the_way_to_change_it_under_the_rule() -> None:
    remedy = field(verdict_on(writer(Stream.ORDERS, discount_cents="double")), "discount_cents").remedy
    assert 'The reader wants "long".' in remedy
    assert "BACKWARD lets a type change only from int to long" in remedy


def test_items_that_may_be_null_are_read_where_they_are_not() -> None:
    schema = json.loads(reader_text(Stream.ORDERS))
    schema["fields"][-1]["type"] = ["null", schema["fields"][-1]["type"]]
    verdict = verdict_on(schema)
    assert (verdict.level, field(verdict, "items").note) == (Level.WARNING, "a message with null here is rejected")


def test_a_union_of_records_is_read_row_by_row_and_that_is_slow() -> None:
    schema = json.loads(reader_text(Stream.ORDERS))
    items = schema["fields"][-1]["type"]
    items["items"] = [items["items"], {"type": "record", "name": "Gift", "fields": []}]
    verdict = verdict_on(schema)
    assert (verdict.level, verdict.is_columnar) == (Level.WARNING, False)
    assert verdict.way == "read row by row with fastavro, which is many times slower: a union of records in items"
    assert field(verdict, "items").note == "a message with a value of type Gift here is rejected"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ('{"type": "record", "name": "Order", "fields": [{"name": "o", "type": ["null", "Order"]}]}', "recursive type Order"),
        (json.dumps("string"), "string is not of any stream"),
        ('{"type": "record", "name": "Invoice", "fields": []}', "Invoice is not of any stream"),
    ],
)
def test_what_is_no_schema_of_ours_is_a_problem(text: str, told: str) -> None:
    verdict = examined(text)
    assert (verdict.level, told in verdict.way) == (Level.PROBLEM, True), verdict


def test_a_schema_of_another_stream_is_a_problem_that_names_the_record_wanted() -> None:
    verdict = verdict_on(WRITERS[2], Stream.ORDERS)
    assert (verdict.level, verdict.way) == (Level.PROBLEM, "Touchpoint is not a record Order")
    assert "Order (orders), Touchpoint (touchpoints)" in verdict.remedy


def typed(random: RandomAvro, stream: Stream) -> Json:
    """A random writer's schema that may or may not resolve; times are times."""
    reader = json.loads(reader_text(stream))
    times = {each["name"]: each["type"] for each in reader["fields"] if "timestamp" in json.dumps(each["type"])}
    schema = random.writer_of(_plain(reader))
    for each in schema["fields"]:
        each["type"] = times.get(each["name"], each["type"])
        if random.random.random() < 0.02:
            each["type"] = random.type(1)
    return schema


def _plain(schema: Json) -> Json:
    if isinstance(schema, dict):
        return "long" if "logicalType" in schema else {key: _plain(value) for key, value in schema.items()}
    return [_plain(each) for each in schema] if isinstance(schema, list) else schema


def test_the_verdict_is_the_decoders_own_on_random_schemas(seed: int) -> None:
    random = RandomAvro(seed)
    seen = set()
    for _ in range(10):
        for stream in Stream:
            schema = typed(random, stream)
            verdict = verdict_on(schema, stream)
            try:
                resolve(parse(json.dumps(schema)), READERS[stream])
                way = "columns"
            except NotColumnar:
                way = "rows"
            except Unresolvable:
                way = "none"
            if way == "none":
                assert verdict.level is Level.PROBLEM, schema
            elif verdict.level is not Level.PROBLEM:
                assert verdict.is_columnar == (way == "columns"), schema
                assert not self_check(json.dumps(schema), stream).differences, schema
            seen.add((way, verdict.level is Level.PROBLEM))
    assert {("columns", False), ("none", True)} <= seen


def test_lines_are_those_of_the_text() -> None:
    text = '{"type": "record", "name": "Order",\n "doc": "{ \\"name\\" }",\n "fields": [\n  {"name": "a", "type": "int"},\n\n'
    text += '  {"name": "items", "type": ["null", {"type": "array", "items":\n     {"type": "record", "name": "I", "fields": [\n'
    text += '        {"name": "a", "type": "int"}]}}]}\n]}\n'
    assert lines_of(text) == {"a": 4, "items": 6, "items.a": 8}
    assert lines_of(json.dumps(json.loads(text))) == {}


def test_a_field_is_told_with_its_line() -> None:
    text = json.dumps(writer(Stream.ORDERS, currency="double"), indent=1)
    (line,) = [number for number, line in enumerate(text.splitlines(), 1) if '"currency"' in line]
    assert field(examined(text), "currency").line == line - 1  # where its object begins


def test_random_records_say_what_would_be_rejected() -> None:
    check = self_check(json.dumps(writer(Stream.ORDERS, currency=["null", "string"])), Stream.ORDERS)
    assert (check.records, check.differences) == (100, ())
    assert 0 < check.rejected < 100
    assert check.reason.startswith("currency: ")
    assert self_check_finding(check).level is Level.OK


def test_a_decoder_that_differs_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(_reading: object, bodies: list[bytes]) -> list[Read]:
        return [{"order_id": "another"} for _ in bodies]

    monkeypatch.setattr(roundtrip, "_in_columns", wrong)
    finding = self_check_finding(self_check(json.dumps(WRITERS[1]), Stream.ORDERS))
    assert (finding.level, "random record 0, order_id: read in columns" in finding.found) == (Level.PROBLEM, True)
    assert "bug of tidemark" in finding.remedy


@pytest.mark.parametrize(
    "kind", [{"type": "enum", "name": "Kind", "symbols": ["A"], "default": "B"}, {"type": "fixed", "name": "Blob", "size": 1 << 40}]
)
def test_a_schema_that_can_not_be_written_is_not_checked_further(kind: Json) -> None:
    schema = deepcopy(WRITERS[6])
    schema["fields"].append({"name": "kind", "type": kind})
    finding = self_check_finding(self_check(json.dumps(schema), Stream.PRODUCTS))
    assert finding.level is Level.SKIPPED
    assert finding.found.startswith("no random records can be written: ")


# The command


@pytest.fixture
def tidemark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("worker.doctor.messages.SECONDS", 1.0)
    return Shell(capsys)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as server:
        yield server


def test_a_file_that_can_be_read_is_code_0(tidemark: Shell) -> None:
    Path("order.avsc").write_text(json.dumps(WRITERS[4], indent=1))
    code, out, err = tidemark("schema", "check", "order.avsc")
    assert (code, err) == (ExitCode.OK, "")
    lines = out.splitlines()
    assert lines[:2] == ["order.avsc as orders", "ok       schema           read in columns"]
    assert any(line.startswith("ok       source") and line.endswith("ignored: the reader has no such field") for line in lines)
    assert "ok       self-check       100 random records are read the same in all ways" in lines
    assert max(map(len, lines)) <= 100


def test_a_file_that_can_not_be_read_is_code_5_with_lines_and_fields(tidemark: Shell) -> None:
    Path("good.avsc").write_text(json.dumps(WRITERS[2]))
    Path("bad.avsc").write_text(json.dumps(writer(Stream.TOUCHPOINTS, channel="int", occurred_at=None), indent=1))
    code, out, err = tidemark("schema", "check", "good.avsc", "bad.avsc")
    assert code == ExitCode.DIFFERENCES
    assert err.startswith("tidemark: there are schemas that can't be read: bad.avsc\n")
    assert "problem  channel          line " in out
    assert "problem  occurred_at      not written, and the reader needs it" in out


def test_the_verdict_as_json_has_every_field(tidemark: Shell) -> None:
    Path("a.avsc").write_text(json.dumps(WRITERS[3]))
    (found,) = tidemark("schema", "check", "a.avsc", "--json").lines()
    assert (found["schema"], found["stream"], found["level"], found["is_columnar"]) == ("a.avsc", "touchpoints", "ok", True)
    assert [each["field"] for each in found["fields"]] == [each.name for each in READERS[Stream.TOUCHPOINTS].fields]
    assert found["self_check"]["records"] == 100


def test_the_stream_may_be_given(tidemark: Shell) -> None:
    Path("a.avsc").write_text(json.dumps(WRITERS[3]))
    assert tidemark("schema", "check", "a.avsc", "--stream", "orders").code == ExitCode.DIFFERENCES
    assert tidemark("schema", "check", "a.avsc", "--stream", "sales").code == ExitCode.USAGE


def test_a_file_that_is_not_there_is_a_wrong_command_line(tidemark: Shell) -> None:
    code, _, err = tidemark("schema", "check", "none.avsc")
    assert (code, "none.avsc can't be read" in err) == (ExitCode.USAGE, True)


def test_without_a_file_a_registry_or_schema_files_there_is_nothing_to_check(tidemark: Shell) -> None:
    code, _, err = tidemark("schema", "check")
    assert (code, "there is no schema to check" in err) == (ExitCode.USAGE, True)


def test_without_a_registry_the_schema_files_are_checked(tidemark: Shell) -> None:
    Path("7.avsc").write_text(json.dumps(WRITERS[7]))
    Path("8.avsc").write_text(json.dumps(WRITERS[8]))
    Path("tidemark.toml").write_text('[registry.files]\n7 = "7.avsc"\n8 = "8.avsc"\n')
    assert [(found["schema"], found["level"]) for found in tidemark("schema", "check", "--json").lines()] == [
        ("id 7, 7.avsc", "ok"),
        ("id 8, 8.avsc", "ok"),
    ]
    assert [found["schema"] for found in tidemark("schema", "check", "--stream", "orders", "--json").lines()] == ["id 8, 8.avsc"]


def test_the_newest_schemas_of_the_registry_and_those_that_messages_name_are_checked(tidemark: Shell, registry: FakeRegistry) -> None:
    registry.register("orders-value", WRITERS[4], 4, version=2)
    registry.answers["/schemas/ids/2"] = {"schema": json.dumps(WRITERS[2])}
    with mock_broker() as bootstrap:
        send(bootstrap, [Produced("touchpoints", framed(2, touchpoint(occurred_at=EPOCH)), timestamp_ms=1)])
        options = ["--set", f"registry.url={registry.url}", "--set", f"kafka.bootstrap_servers={bootstrap}"]
        code, out, err = tidemark(*options, "schema", "check")
    assert (code, err) == (ExitCode.OK, "")
    names = [line for line in out.splitlines() if " as " in line and not line.startswith(("ok", " "))]
    assert names == ["orders-value version 2, id 4 as orders", "id 2, named by 1 message of touchpoints as touchpoints"]


def test_a_broker_that_is_away_is_told_and_the_registry_checked_all_the_same(tidemark: Shell, registry: FakeRegistry) -> None:
    registry.register("orders-value", writer(Stream.ORDERS, currency=None), 4)
    options = ["--set", f"registry.url={registry.url}", "--set", "kafka.bootstrap_servers=127.0.0.1:1"]
    code, out, err = tidemark(*options, "schema", "check")
    assert code == ExitCode.DIFFERENCES
    assert out.startswith("orders-value version 1, id 4 as orders\nproblem")
    assert "The schemas that messages name are not looked at: the broker at 127.0.0.1:1" in err


def test_a_schema_that_refers_to_others_is_refused(tidemark: Shell, registry: FakeRegistry) -> None:
    registry.register("orders-value", WRITERS[4], 4)
    registry.answers["/subjects/orders-value/versions/latest"]["references"] = [{"name": "Money"}]
    code, out, _ = tidemark("--set", f"registry.url={registry.url}", "schema", "check", "--stream", "orders")
    assert (code, "refused: it refers to other schemas" in out) == (ExitCode.DIFFERENCES, True)
