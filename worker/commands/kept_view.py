"""One kept message as a person reads it: where it came from, its bytes, its record as far as it can be read.

Nothing that came with it reaches the terminal raw.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import numpy as np
import typer
from rich.text import Text

from worker.commands import shown
from worker.commands.formats import facts, screen, utc
from worker.config import Settings
from worker.decode.inspection import FieldRead, Inspection, inspect
from worker.decode.registry import schema_source
from worker.errors import ConfigError, Fatal, Unavailable
from worker.events import KeptMessage, Stream

_SHOWN_BYTES = 1_024  # of a value; more are for --value hex
_LINE_BYTES = 16
_SHOWN_LINES = 100  # of a file's row


class ValueAs(StrEnum):
    """How a value alone is printed: raw bytes, hexadecimal, the record that its Avro holds, the JSON that it is."""

    RAW = "raw"
    HEX = "hex"
    AVRO = "avro"
    JSON = "json"


def place(row: Mapping[str, Any]) -> str:
    """Where a message came from: orders/3 @ 1,204, or a row of a file."""
    if row["file"] is not None:
        return f"{row['file']} row {row['file_row']:,}"
    return f"{row['topic']}/{row['partition']} @ {row['offset']:,}"


def print_message(settings: Settings, title: str, row: Mapping[str, Any], known: Mapping[str, str]) -> None:
    """All that is kept of a message (a row of reports/rejected_message or expired_message); `known`: what else there is to say of it."""
    console, message = screen(), _message(row)
    console.print(Text(title, style="bold"))
    console.print(facts([*_origin(row, message).items(), *known.items()]))
    if message.header_list:
        console.print(facts([(f"header {name}", _told(value)) for name, value in message.header_list]))
    if message.value_bytes is None:
        return
    if message.file is not None:
        _print_file_row(message.value_bytes, message.id)
        return
    console.print(Text(f"\nvalue, {len(message.value_bytes):,} bytes", style="bold"))
    sys.stdout.write("".join(f"{line}\n" for line in hexdump(message.value_bytes[:_SHOWN_BYTES])))
    if len(message.value_bytes) > _SHOWN_BYTES:
        typer.echo(f"and {len(message.value_bytes) - _SHOWN_BYTES:,} bytes more: --value hex prints all")
    console.print()
    _print_record(settings, message)


def print_value(settings: Settings, row: Mapping[str, Any], how: ValueAs) -> None:
    """The value alone, for other programs. Raises ConfigError where it is none such."""
    message = _message(row)
    value = message.value_bytes
    if value is None:
        raise ConfigError(f"message {message.id} has no value: it is a tombstone, or was dropped")
    match how:
        case ValueAs.RAW:
            if sys.stdout.isatty():
                raise ConfigError("raw bytes can do anything to a terminal", "Send them elsewhere: > FILE, or | xxd")
            sys.stdout.buffer.write(value)
        case ValueAs.HEX:
            sys.stdout.write("".join(f"{line}\n" for line in hexdump(value)))
        case ValueAs.JSON:
            typer.echo(_indented(_json(value, message.id)))
        case ValueAs.AVRO:
            found = _inspected(settings, message)
            if not found.fields:
                raise ConfigError(f"message {message.id} can't be read as Avro: {shown(found.fault)}", "--value hex prints its bytes.")
            typer.echo(_indented({field.name: field.value for field in found.fields}))
            if found.fault:
                typer.echo(shown(f"then: {found.fault}"), err=True)


def hexdump(value: bytes) -> Iterator[str]:
    """Lines of 16 bytes: where they begin, the bytes, and those of them that are printable ASCII."""
    for at in range(0, len(value), _LINE_BYTES):
        line = value[at : at + _LINE_BYTES]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        yield f"{at:08x}  {line.hex(' '):<{3 * _LINE_BYTES - 1}}  {text}"


def _message(row: Mapping[str, Any]) -> KeptMessage:
    headers = [(header["name"], header["value"]) for header in row["headers"]]
    origin = row["topic"], row["topic_id"], row["partition"], row["offset"]
    content = row["key"], row["value"], headers, row["timestamp_ms"]
    return KeptMessage(row["id"], Stream(row["stream"]), *origin, *content, row["file"], row["file_row"])


def _origin(row: Mapping[str, Any], message: KeptMessage) -> dict[str, str]:
    sent = message.timestamp_ms
    return {
        "stream": message.stream.value,
        "from": place(row),
        "topic id": message.topic_id if message.file is None else "",
        "sent": "" if sent is None else f"{np.datetime64(sent, 'ms')}Z",
        "ingested": utc(row["ingested_at"]),
        "key": _told(message.key_bytes),
    }


def _told(value: bytes | None) -> str:
    """Bytes as text in quotes where they are some, else as hexadecimal."""
    if value is None:
        return ""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    return f'"{text}"' if text.isprintable() and text else f"{value.hex(' ')} ({len(value):,} bytes)"


def _print_file_row(value: bytes, kept_id: int) -> None:
    lines = _indented(_json(value, kept_id)).splitlines()
    typer.echo("\n".join(["", *lines[:_SHOWN_LINES]]))
    if len(lines) > _SHOWN_LINES:
        typer.echo(f"and {len(lines) - _SHOWN_LINES:,} lines more: --value json prints all")


def _print_record(settings: Settings, message: KeptMessage) -> None:
    try:
        found = _inspected(settings, message)
    except (Unavailable, Fatal) as error:
        found = Inspection(fault=error.message)
    console = screen()
    if found.ref is not None:
        name = f", {found.record}" if found.record else ""
        console.print(Text(shown(f"written by schema {found.ref}{name}"), style="bold"))
    console.print(facts([(field.name, _field(field)) for field in found.fields]))
    if found.fault:
        console.print(Text(shown(f"{'then' if found.fields else 'not read'}: {found.fault}"), style="bold yellow"))


def _inspected(settings: Settings, message: KeptMessage) -> Inspection:
    return inspect(message, schema_source(settings.registry))


def _field(field: FieldRead) -> str:
    text = json.dumps(field.value)
    return f"{text} ({field.time})" if field.time else text


def _json(value: bytes, kept_id: int) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ConfigError(f"the value of message {kept_id} is no JSON", "--value hex prints its bytes.") from None


def _indented(value: Any) -> str:
    """ASCII, so that nothing in it is a sign for the terminal."""
    return json.dumps(value, indent=2)
