"""On which line of a schema's text each of its fields is defined."""

import json
import re
from collections.abc import Iterator
from typing import Any

_STRING_OR_OBJECT = re.compile(r'"(?:[^"\\]|\\.)*"|\{')


def lines_of(text: str) -> dict[str, int]:
    """The line of each field by its path ("items.quantity"), counted from 1; empty for a text of one line.

    Of types that are named again only the definition counts.
    """
    text = text.rstrip()
    objects = [text.count("\n", 0, found.start()) + 1 for found in _STRING_OR_OBJECT.finditer(text) if found[0] == "{"]
    schema = json.loads(text)
    places = list(_objects(schema))
    if "\n" not in text or len(places) != len(objects):  # where a key is given twice, not all of its objects are seen
        return {}
    line_of = {id(place): line for place, line in zip(places, objects, strict=True)}
    return {path: line_of[id(field)] for path, field in _fields(schema, "")}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in the order in which they begin in the text."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)


def _fields(schema: Any, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    match schema:
        case list():
            for branch in schema:
                yield from _fields(branch, prefix)
        case {"type": "record" | "error", "fields": list(fields)}:
            for field in fields:
                yield f"{prefix}{field['name']}", field
                yield from _fields(field["type"], f"{prefix}{field['name']}.")
        case {"type": "array", "items": inner} | {"type": "map", "values": inner} | {"type": dict() | list() as inner}:
            yield from _fields(inner, prefix)
