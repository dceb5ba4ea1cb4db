"""What a guide shows of a console: its commands, what one sees of them, and whether what they print is that.

In a block ```console, `$ ` begins a command, what follows is what one sees. `...` in a line stands for anything in it, a line `...` for
any lines or none. As many spaces as there are stand for any number of them. What clock and machine say stands for others of its kind:
moments of the guide's today from its beginning on, durations, sizes, rates, checksums, ports, ann@shop. All other figures are as shown.
A line `^C` is Ctrl-C, typed at a terminal as soon as all above it is on the screen.

A comment above a block says what it needs: <!-- exit 5 -->: the exit code of the last command, <!-- with a running worker -->: beside
them, <!-- with sealed days -->, <!-- on a real Kafka -->, <!-- not run: why -->.
"""

import difflib
import re
from dataclasses import dataclass
from typing import NamedTuple

CTRL_C = "^C"

_BLOCK = re.compile(r"(?:^<!-- (?P<needs>[^\n]*) -->\n)?^```console\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)

# How the guide writes what it can't know, and what else may stand there.
_UNKNOWN = {
    "moment": (r"2026-03-08[ T]10:[2-5]\d(:\d\d(\.\d+)?)?", r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?"),
    "checksum": (r"[0-9a-f]{64}", r"[0-9a-f]{64}"),
    "port": (r"(?<=127\.0\.0\.1:)\d+", r"\d+"),
    "who": (r"ann@shop", r"\S+@\S+"),
    "size": (r"[\d,.]+ ([kMG]i?)?B\b", r"[\d,.]+ ([kMG]i?)?B"),
    "rate": (r"[\d,.]+(?=/s\b| messages/s)", r"[\d,.]+"),
    "duration": (r"\d+ [dhm] \d+ [hms]\b|\d+(\.\d+)? ?[dhms]\b", r"(\d+ [dhm] \d+ [hms]|\d+(\.\d+)? ?[dhms])"),
    "anything": (r"\.\.\.", r".*?"),
    "spaces": (r"\s+", r"[^\S\n]+"),
}
_TOKEN = re.compile("|".join(f"(?P<{kind}>{shown})" for kind, (shown, _) in _UNKNOWN.items()))


class Step(NamedTuple):
    """A command, and what one sees of it."""

    command: str
    shown: str


@dataclass(frozen=True, slots=True)
class Block:
    """Commands that stand together. `line`: where in the guide."""

    section: str
    line: int
    needs: frozenset[str]
    steps: tuple[Step, ...]

    @property
    def exit_code(self) -> int:
        """Of the last command; the others end with 0."""
        return next((int(need.removeprefix("exit ")) for need in self.needs if need.startswith("exit ")), 0)


def blocks(text: str) -> list[Block]:
    """All that a guide shows of a console, in order."""
    return [_block(text, found) for found in _BLOCK.finditer(text)]


def _block(text: str, found: re.Match[str]) -> Block:
    before = text[: found.start()]
    section = re.findall(r"^## (.*)$", before, re.MULTILINE)[-1]
    needs = found["needs"] or ""
    told = {needs} if needs.startswith("not run: ") else set(filter(None, needs.split(", ")))
    nothing, *parts = re.split(r"^\$ ", found["text"], flags=re.MULTILINE)
    assert not nothing, f"{section}: a block begins with a command"
    steps = tuple(Step(*part.partition("\n")[::2]) for part in parts)
    return Block(section, before.count("\n") + 1, frozenset(told), steps)


def is_seen(shown: str, printed: str) -> bool:
    """Whether what was printed is what the guide shows."""
    return _pattern(shown).fullmatch(_lines(printed)) is not None


def is_seen_already(shown: str, printed: str) -> bool:
    """Whether what was printed begins as the guide shows."""
    return _pattern(shown).match(_lines(printed)) is not None


def difference(step: Step, printed: str) -> str:
    """For a person."""
    lines = difflib.ndiff(step.shown.splitlines(), _lines(printed).splitlines())
    return "\n".join([f"$ {step.command}", "prints something else than the guide shows (-: the guide, +: printed):", *lines])


def _lines(printed: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in printed.splitlines())


def _pattern(shown: str) -> re.Pattern[str]:
    lines = [r"(.*\n)*?" if line == "..." else rf"{_line_pattern(line.rstrip())}\n" for line in shown.splitlines()]
    return re.compile("".join(lines))


def _line_pattern(line: str) -> str:
    parts, at = [], 0
    for token in _TOKEN.finditer(line):
        kind = next(kind for kind in _UNKNOWN if token[kind] is not None)
        parts += [re.escape(line[at : token.start()]), _UNKNOWN[kind][1]]
        at = token.end()
    return "".join([*parts, re.escape(line[at:])])
