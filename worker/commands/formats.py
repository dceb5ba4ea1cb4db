"""How commands that a person reads write numbers, money, times and tables. Text that came from data goes through `shown`."""

import math
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import IO, Any, Literal, cast

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.commands import shown

_WIDE = 100  # columns of a screen with room to spare
_PIPE = 120  # columns where nobody says how wide the screen is
_WIDEST = 100_000  # columns of rows that must not be folded; a terminal wraps them
_READABLE = 20  # columns that a folded value needs
_LAST_BLANKS = re.compile(r" +(?=\n)")
_RAMP, _ASCII_RAMP = " ▁▂▃▄▅▆▇█", " .:-=+*#@"

# Currencies whose minor unit is not a hundredth (ISO 4217).
_WHOLE = {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"}
_THOUSANDTHS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}


def count(number: float) -> str:
    """1,234"""
    return f"{number:,.0f}"


def signed(number: float) -> str:
    """+1,234; nothing is 0."""
    return f"{number:+,.0f}" if number else "0"


def money(minor: int, currency: str, *, is_signed: bool = False) -> str:
    """An amount in the currency's minor unit as 1,234.50, exact; `is_signed`: with its sign, nothing is 0."""
    if is_signed and not minor:
        return "0"
    digits = 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2
    whole, rest = divmod(abs(minor), 10**digits)
    sign = "-" if minor < 0 else "+" if is_signed else ""
    return f"{sign}{whole:,}" + (f".{rest:0{digits}}" if digits else "")


def moment(at: datetime | None) -> str:
    """2026-03-05 08:30:00, in UTC."""
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def utc(at: datetime | None) -> str:
    """2026-03-05 08:30:00Z; a moment without a zone is one of the file, which is UTC without saying so."""
    return "" if at is None else f"{moment(at if at.tzinfo else at.replace(tzinfo=UTC))}Z"


def lasting(seconds: float) -> str:
    """The two greatest units: 3 d 4 h, 5 m 7 s, 12 s."""
    rest = round(abs(seconds))
    parts: list[tuple[int, str]] = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, length)
        if number or parts:
            parts.append((number, unit))
    text = " ".join(f"{number} {unit}" for number, unit in parts[:2] if number)
    return f"-{text}" if seconds < 0 and text else text or "0 s"


def size(number: float) -> str:
    """12.3 MB, in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or abs(number) >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def rate(number: float) -> str:
    """A number a second, with decimals only where they say something."""
    return f"{number:,.0f}" if abs(number) >= 10 or not number else f"{number:.1f}" if abs(number) >= 0.1 else f"{number:.2g}"


def sparkline(values: Sequence[float], *, ascii_only: bool) -> str:
    """One sign a value, the greatest the tallest; only what is nothing is blank."""
    ramp = _ASCII_RAMP if ascii_only else _RAMP
    top = max(values, default=0.0)
    return "".join(ramp[math.ceil(value / top * (len(ramp) - 1)) if top else 0] for value in values)


class _Output:
    """Standard output, without the blanks by which rich makes all lines of a table as long as the longest."""

    def write(self, text: str) -> int:
        return sys.stdout.write(_LAST_BLANKS.sub("", text))

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)


def screen(width: int | None = None) -> Console:
    """Standard output; where it is no terminal, `width` columns wide, else as wide as COLUMNS says."""
    is_told = sys.stdout.isatty() or (width is None and "COLUMNS" in os.environ)
    return Console(file=cast(IO[str], _Output()), highlight=False, width=None if is_told else width or _PIPE)


def table(width: int, *, left: Sequence[str], right: Sequence[str] = (), last: str | None = None) -> Table:
    """Columns without lines, the first named after the table: `left` hold text, `right` numbers, `last` takes what is left of the width.

    What does not fit is folded.
    """
    made = Table(box=None, padding=(0, 2 if width >= _WIDE else 1, 0, 0), pad_edge=False, expand=last is not None, header_style="dim")
    for number, name in enumerate(left):
        made.add_column(name if number else Text(name, style="not dim bold"), overflow="fold")
    for name in right:
        made.add_column(name, justify="right", overflow="fold")
    if last is not None:
        made.add_column(last, ratio=1, overflow="fold")
    return made


def cells(*values: object) -> list[Text]:
    """The cells of a row: neither rich's markup nor the terminal's control signs have a meaning in them."""
    return [value if isinstance(value, Text) else Text(shown(value)) for value in values]


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Iterable[str] = ()) -> None:
    """Rows on standard output. right: columns that hold numbers.

    To a terminal what is wider is folded, or, where there are too many columns for that, written a value a line. Else rows are as wide as
    they must be: nothing is cut or folded.
    """
    names, numbers = [shown(column) for column in columns], set(right)
    texts = [cells(*row) for row in rows]
    console = screen(_WIDEST)
    if _least_width(names, texts) > console.width:
        for number, row in enumerate(texts, start=1):
            console.print(Text(f"row {number:,}", style="bold"), _pairs(zip(names, row, strict=True)), Text())
        return
    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column, name in zip(columns, names, strict=True):
        justify: Literal["left", "right"] = "right" if column in numbers else "left"
        made.add_column(Text(name, style="dim"), justify=justify, header_style="", overflow="fold")
    for row in texts:
        made.add_row(*row)
    console.print(made)


def _least_width(names: Sequence[str], rows: Sequence[Sequence[Text]]) -> int:
    """Columns of a screen on which no value is folded to less than can be read."""
    widths = [max(cell_len(name), *(row[place].cell_len for row in rows), 0) for place, name in enumerate(names)]
    return sum(min(width, _READABLE) + 2 for width in widths) - 2


def facts(pairs: Iterable[tuple[str, object]]) -> Table:
    """Names and what they stand for, a line each, folded to the width of the screen. What is empty is left out."""
    return _pairs((name, value) for name, value in pairs if value not in (None, ""))


def _pairs(pairs: Iterable[tuple[str, object]]) -> Table:
    made = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(*cells(name, value))
    return made


def print_facts(title: str, pairs: Iterable[tuple[str, object]]) -> None:
    """`facts` below a title, on standard output."""
    screen().print(Text(shown(title), style="bold"), facts(pairs))


def counted(number: int, noun: str) -> str:
    """1 message, 2 messages."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
