"""Findings as a person reads them: a line or a few for each, as wide as the terminal."""

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict

import typer

from worker.commands import print_json_lines, shown
from worker.doctor import Finding, Level
from worker.errors import Differences

_COLOURS = {Level.OK: "green", Level.SKIPPED: "bright_black", Level.WARNING: "yellow", Level.PROBLEM: "red"}
_LEVEL_WIDTH, _CHECK_WIDTH = 9, 17
_LEAST_WIDTH, _MOST_WIDTH = 60, 140


def print_findings(findings: Iterable[Finding], *, as_json: bool = False) -> list[Finding]:
    """Print each as it comes; returns them all."""
    printed = []
    for finding in findings:
        printed.append(finding)
        if as_json:
            print_json_lines([asdict(finding)])
        else:
            typer.echo("\n".join(_lines(finding)))
    return printed


def summary(findings: Iterable[Finding]) -> str:
    """'23 ok, 2 warnings, 1 problem.'"""
    counts = Counter(finding.level for finding in findings)
    texts = [f"{counts[level]} {level}{'s' if level in {Level.WARNING, Level.PROBLEM} and counts[level] != 1 else ''}" for level in Level]
    return ", ".join(text for text, level in zip(texts, Level, strict=True) if counts[level]) + "."


def _lines(finding: Finding) -> Iterator[str]:
    width = min(max(shutil.get_terminal_size((100, 24)).columns, _LEAST_WIDTH), _MOST_WIDTH)
    level = typer.style(f"{finding.level:<{_LEVEL_WIDTH}}", fg=_COLOURS[finding.level])
    check = f"{shown(finding.check):<{_CHECK_WIDTH}}"
    indent = " " * (_LEVEL_WIDTH + _CHECK_WIDTH)
    if not check.endswith(" "):
        yield level + check
        level, check = indent, ""
    text = [*_wrapped(finding.found, width - len(indent)), *_wrapped(finding.remedy, width - len(indent), "→ ")]
    yield level + check + text[0]
    yield from (indent + line for line in text[1:])


def _wrapped(text: str, width: int, mark: str = "") -> Iterator[str]:
    """The text's lines, each wrapped between words. A command is not broken at its hyphens."""
    for line in text.splitlines():
        yield from textwrap.wrap(
            shown(line), width, initial_indent=mark, subsequent_indent=" " * len(mark), break_long_words=False, break_on_hyphens=False
        )


def refuse_problems(findings: Iterable[Finding], what: str) -> None:
    """Raises Differences where there is a problem."""
    problems = list(dict.fromkeys(finding.check for finding in findings if finding.level is Level.PROBLEM))
    if problems:
        raise Differences(f"{what}: {', '.join(problems)}", "What to do stands beside each of them.")
