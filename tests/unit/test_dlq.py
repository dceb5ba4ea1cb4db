"""`tidemark dlq` and `tidemark expired` on a file that no worker holds: what they print, what they change, what they refuse."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.java import free_ports
from tests.support.messages import WRITER_SCHEMAS, Produced
from tests.support.shell import Shell
from tests.support.worker import Worker, order, touch
from worker.commands.kept_view import hexdump
from worker.errors import ExitCode

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

CONTROL = "\x1b[2J"  # clears a terminal
JSON = json.dumps({"order_id": CONTROL})
CUT, UNKNOWN, NO_FRAME, NO_SESSION = 1, 2, 3, 4  # ids of the rejected messages


@pytest.fixture
def tidemark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """In the directory of the file and its settings."""
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Four rejected messages, and two expired ones of days that are sealed."""
    configure(tmp_path, {str(ref): tmp_path / f"{ref}.avsc" for ref in WRITER_SCHEMAS})
    worker = Worker(tmp_path, retention={"days": 2})
    bad_header = (("trace", f"{CONTROL}\xe9".encode()), (f"na{CONTROL}me", None))
    worker.feed(
        replace(changed(order("o1", "2026-03-09"), lambda value: value[:-3]), key_bytes=f"o1{CONTROL}".encode()), touch("c1", "2026-03-09")
    )
    worker.feed(changed(touch(f"c2{CONTROL}", "2026-03-10"), lambda value: b"\0\0\0\3\xe7" + value[5:]))
    worker.feed(Produced("orders", JSON.encode(), b"\xff\0", bad_header, None, touch("c1", "2026-03-10").arrived_at))
    worker.feed(touch("c3", "2026-03-10 18:00", session_id=""), close="2026-03-10")
    worker.feed(order("late", "2026-03-05"), touch("c1", "2026-03-06"))
    worker.close()
    return worker.settings.store.path


def changed(message: Produced, change: Any) -> Produced:
    return replace(message, value_bytes=change(message.value_bytes))


def configure(directory: Path, files: dict[str, Path], registry: str = "") -> None:
    for ref, schema in WRITER_SCHEMAS.items():
        (directory / f"{ref}.avsc").write_text(json.dumps(schema))
    lines = "\n".join(f'"{ref}" = "{path}"' for ref, path in files.items())
    (directory / "tidemark.toml").write_text(f'[store]\npath = "worker.duckdb"\n[registry.files]\n{lines}\n{registry}')


def register(directory: Path) -> None:
    """The schema that was missing."""
    (directory / "999.avsc").write_text(json.dumps(WRITER_SCHEMAS[3]))
    configure(directory, {str(ref): directory / f"{ref}.avsc" for ref in (*WRITER_SCHEMAS, 999)})


def kept(file: Path, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(f"select {columns} from rejected order by id").fetchall()


def is_harmless(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


def test_the_list_begins_with_what_there_is_most_of_and_goes_on_with_the_newest(
    file: Path, tidemark: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # what does not fit is folded
    ended = tidemark("dlq", "list")
    assert ended.code == ExitCode.OK, ended.err
    counts, messages = ended.out.split("\n\n")
    reasons = ["bad_frame", "malformed", "empty_id", "unknown_schema"]
    assert [line.split()[2] for line in counts.splitlines()[1:]] == reasons
    lines = messages.splitlines()
    assert [int(line.split()[0]) for line in lines if line[:1].isdigit()] == [NO_SESSION, NO_FRAME, UNKNOWN, CUT]
    assert "touchpoints/0 @ 2" in lines[0]
    assert lines[1].strip() == "session_id is empty"
    assert is_harmless(ended.out)


def test_the_list_for_programs_has_every_column(file: Path, tidemark: Shell) -> None:
    first = tidemark("dlq", "list", "--json").lines()[0]
    assert {name: first[name] for name in ("id", "stream", "topic", "partition", "offset", "stage", "reason", "detail", "bytes")} == {
        "id": NO_SESSION,
        "stream": "touchpoints",
        "topic": "touchpoints",
        "partition": 0,
        "offset": 2,
        "stage": "validate",
        "reason": "empty_id",
        "detail": "session_id is empty",
        "bytes": first["bytes"],
    }
    assert first["resolution"] is None


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--stream", "orders"], [NO_FRAME, CUT]),
        (["--topic", "touchpoints", "--stage", "schema"], [UNKNOWN]),
        (["--reason", "malformed"], [CUT]),
        (["--since", "2026-03-10"], [NO_SESSION, NO_FRAME, UNKNOWN]),
        (["--since", "2026-03-10T19:00+01:00"], [NO_SESSION]),
        (["--until", "2026-03-10"], [CUT]),
        (["--file", "part-1.avro"], []),
        (["--limit", "1"], [NO_SESSION]),
    ],
)
def test_options_choose_among_them(file: Path, tidemark: Shell, options: list[str], ids: list[int]) -> None:
    assert [row["id"] for row in tidemark("dlq", "list", "--json", *options).lines()] == ids


def test_what_is_not_shown_is_told(file: Path, tidemark: Shell) -> None:
    assert "the newest 1 of 4" in tidemark("dlq", "list", "--limit", "1").out
    assert "no rejected messages on the list" in tidemark("dlq", "list", "--file", "nowhere").out
    wrong = tidemark("dlq", "list", "--since", "yesterday")
    assert (wrong.code, "is no time" in wrong.err) == (ExitCode.USAGE, True)


def test_a_message_is_read_up_to_where_it_breaks(file: Path, tidemark: Shell) -> None:
    lines = tidemark("dlq", "show", str(CUT)).out.splitlines()
    told = {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in lines if "  " in line}
    assert told["from"] == "orders/0 @ 0"
    assert told["sent"] == "2026-03-09T12:00:00.000Z"
    assert told["key"].startswith("6f 31 1b 5b 32 4a")
    assert told["rejected"] == "malformed, at decode"
    assert told["00000000"].endswith("......o1.c1.....")
    assert told["ordered_at"] == "1773057600000000 (2026-03-09T12:00:00.000000Z)"
    assert told["refunded_cents"] == "0"
    assert lines[-1].rstrip() == "then: items.0.discount_cents: the message ends within it"


@pytest.mark.parametrize(
    ("kept_id", "said"),
    [
        (UNKNOWN, "not read: not among registry.files"),
        (NO_FRAME, "not read: magic byte 123"),
        (NO_SESSION, 'session_id    ""'),
    ],
)
def test_whatever_is_wrong_with_a_message_it_is_shown_and_harmless(file: Path, tidemark: Shell, kept_id: int, said: str) -> None:
    ended = tidemark("dlq", "show", str(kept_id))
    assert (ended.code, said in ended.out) == (ExitCode.OK, True), ended.out
    assert is_harmless(ended.out)
    assert is_harmless(tidemark("dlq", "show", str(kept_id), "--value", "hex").out)


def test_headers_are_told(file: Path, tidemark: Shell) -> None:
    out = tidemark("dlq", "show", str(NO_FRAME)).out
    assert "header trace" in out
    assert "1b 5b 32 4a c3 a9 (6 bytes)" in out
    assert "ff 00 (2 bytes)" in out


def test_a_registry_that_is_away_hides_the_record_alone(
    file: Path, tidemark: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.decode.registry.ATTEMPTS", 1)
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    configure(tmp_path, {}, f'[registry]\nurl = "{url}"\n')
    ended = tidemark("dlq", "show", str(CUT))
    assert (ended.code, "00000030" in ended.out) == (ExitCode.OK, True)
    assert f"the schema registry at {url} is away" in ended.out


def test_a_value_alone_is_for_other_programs(file: Path, tidemark: Shell) -> None:
    assert tidemark("dlq", "show", str(NO_FRAME), "--value", "raw").out == JSON
    pretty = tidemark("dlq", "show", str(NO_FRAME), "--value", "json").out
    assert (json.loads(pretty), is_harmless(pretty)) == ({"order_id": CONTROL}, True)
    record = json.loads(tidemark("dlq", "show", str(NO_SESSION), "--value", "avro").out)
    assert (record["customer_id"], record["session_id"]) == ("c3", "")
    cut = tidemark("dlq", "show", str(CUT), "--value", "avro")
    assert json.loads(cut.out)["order_id"] == "o1"
    assert "then: items.0.discount_cents" in cut.err


def test_a_value_that_is_not_of_that_form_is_refused(file: Path, tidemark: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for kept_id, form, said in (
        (CUT, "json", "is no JSON"),
        (NO_FRAME, "avro", "can't be read as Avro: magic byte 123"),
        (99, "hex", "there is no rejected message 99"),
    ):
        ended = tidemark("dlq", "show", str(kept_id), "--value", form)
        assert (ended.code, said in ended.err, ended.out) == (ExitCode.USAGE, True, "")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    ended = tidemark("dlq", "show", str(NO_FRAME), "--value", "raw")
    assert (ended.code, ended.out) == (ExitCode.USAGE, "")


def test_hexadecimal_has_16_bytes_a_line() -> None:
    assert list(hexdump(bytes(range(60, 80)))) == [
        "00000000  3c 3d 3e 3f 40 41 42 43 44 45 46 47 48 49 4a 4b  <=>?@ABCDEFGHIJK",
        "00000010  4c 4d 4e 4f                                      LMNO",
    ]
    assert list(hexdump(b"")) == []


def test_a_replay_brings_in_what_can_be_read_now_and_says_what_can_not(file: Path, tidemark: Shell, tmp_path: Path) -> None:
    register(tmp_path)
    ended = tidemark("dlq", "replay")
    assert ended.code == ExitCode.OK, ended.err
    assert ended.out.splitlines()[-1] == "1 came in, 3 rejected again: 1 orders bad_frame, 1 orders malformed, 1 touchpoints empty_id"
    assert kept(file, "id, resolution") == [(CUT, None), (UNKNOWN, "accepted"), (NO_FRAME, None), (NO_SESSION, None)]
    assert len(tidemark("dlq", "list", "--json").lines()) == 3
    assert len(tidemark("dlq", "list", "--json", "--all").lines()) == 4
    assert "became an event" in tidemark("dlq", "show", str(UNKNOWN)).out
    assert tidemark("verify").code == ExitCode.OK


def test_a_replay_of_some_leaves_the_others_alone(file: Path, tidemark: Shell, tmp_path: Path) -> None:
    register(tmp_path)
    assert tidemark("dlq", "replay", "--reason", "malformed").out.splitlines()[-1].startswith("0 came in, 1 rejected again")
    assert "no rejected message on the list is meant" in tidemark("dlq", "replay", "--stream", "customers").out
    assert tidemark("dlq", "replay", str(UNKNOWN)).out.splitlines()[-1] == "1 came in, 0 rejected again"
    gone = tidemark("dlq", "replay", str(UNKNOWN), str(CUT))
    assert (gone.code, gone.err.splitlines()[0]) == (ExitCode.USAGE, f"tidemark: not on the list: {UNKNOWN}")


def test_a_drop_shows_how_many_before_it_asks(file: Path, tidemark: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, code, left in (("n\n", 1, 4), ("y\n", ExitCode.OK, 2)):
        monkeypatch.setattr(sys, "stdin", Typed(answer))
        ended = tidemark("dlq", "drop", "--stream", "orders")
        assert ended.code == code
        assert "malformed" in ended.out
        assert "Drop these 2 messages?" in ended.out
        assert len(tidemark("dlq", "list", "--json").lines()) == left
    assert kept(file, "value is null, key is null, len(headers), resolution")[0] == (True, True, 0, "dropped")


class Typed(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_drop_is_not_done_by_mistake(file: Path, tidemark: Shell) -> None:
    for arguments, said in (
        ([], "which ones are to be dropped?"),
        (["--yes"], "which ones are to be dropped?"),
        (["--reason", "malformed"], "nobody is there to be asked"),
        (["99", "--yes"], "not on the list: 99"),
    ):
        ended = tidemark("dlq", "drop", *arguments)
        assert (ended.code, said in ended.err) == (ExitCode.USAGE, True), ended
    assert len(kept(file, "id")) == 4
    assert tidemark("dlq", "drop", str(CUT), str(NO_SESSION), "--yes").out.splitlines()[-1] == "messages dropped: 2"
    assert [row["id"] for row in tidemark("dlq", "list", "--json").lines()] == [NO_FRAME, UNKNOWN]
    shown = tidemark("dlq", "show", str(CUT))
    assert (shown.code, "dropped" in shown.out) == (ExitCode.OK, True)
    assert tidemark("dlq", "show", str(CUT), "--value", "hex").code == ExitCode.USAGE


def test_expired_messages_are_listed_by_the_day_that_they_are_for(file: Path, tidemark: Shell) -> None:
    ended = tidemark("expired", "list")
    assert [line.split()[:2] for line in ended.out.splitlines()[1:3]] == [["2026-03-05", "orders"], ["2026-03-06", "touchpoints"]]
    assert "tidemark expired readmit --day 2026-03-05" in ended.out
    rows = tidemark("expired", "list", "--json", "--day", "2026-03-06").lines()
    assert [(row["day"], row["stream"], row["offset"]) for row in rows] == [("2026-03-06", "touchpoints", 3)]
    assert tidemark("expired", "list", "--json", "--stream", "orders").lines()[0]["day"] == "2026-03-05"
    assert "no expired messages are meant" in tidemark("expired", "list", "--day", "2026-01-01").out
    assert tidemark("expired", "list", "--day", "March").code == ExitCode.USAGE


def test_an_expired_message_is_shown_with_its_record(file: Path, tidemark: Shell) -> None:
    (row,) = tidemark("expired", "list", "--json", "--stream", "orders").lines()
    out = tidemark("expired", "show", str(row["id"])).out
    assert "sealed day  2026-03-05" in out
    assert '"late"' in out
    assert json.loads(tidemark("expired", "show", str(row["id"]), "--value", "avro").out)["order_id"] == "late"
    assert tidemark("expired", "show", str(CUT)).code == ExitCode.USAGE
