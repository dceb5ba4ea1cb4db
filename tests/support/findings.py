"""Findings of a doctor, taken apart."""

from collections.abc import Generator, Iterable
from typing import TypeVar

from worker.doctor.findings import Finding, Level, worst

Facts = TypeVar("Facts")


def gathered(checks: Generator[Finding, None, Facts]) -> tuple[list[Finding], Facts]:
    """What checks find, and the facts that they return."""
    findings = []
    while True:
        try:
            findings.append(next(checks))
        except StopIteration as end:
            return findings, end.value


def told(findings: Iterable[Finding], check: str) -> Finding:
    """The one finding of a check."""
    (finding,) = [finding for finding in findings if finding.check == check]
    return finding


def levels(findings: Iterable[Finding]) -> dict[str, Level]:
    """The worst of each check."""
    findings = list(findings)
    return {
        check: worst(each.level for each in findings if each.check == check) for check in dict.fromkeys(each.check for each in findings)
    }
