"""The comparison as a picture: bytes read night by night, and by how much each day of the window is wrong in the end."""

import math
from collections.abc import Iterable
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from worker.approaches.compare import BY_COLUMN, BY_KEY, CLAIMED_RATIO, FULL_BATCH, STAGING, TIDEMARK, WINDOW, Comparison
from worker.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = (".svg", ".png", ".pdf")

_RED, _GREEN, _GREY = "#c8374a", "#1f8a54", "#59636b"
_LINES = {
    (FULL_BATCH, BY_COLUMN): (_GREY, "-"),
    (STAGING, BY_COLUMN): (_GREY, "--"),
    (WINDOW, BY_COLUMN): (_RED, "-"),
    (TIDEMARK, BY_COLUMN): (_GREEN, "--"),
    (TIDEMARK, BY_KEY): (_GREEN, "-"),
}
_CURRENCY = "USD"
_MOST_DATES = 8  # below an axis as wide as ours
_NAME_POINTS = 14  # from one name to the next


def check(path: Path) -> None:
    """Whether it can be drawn, before the work. Raises ConfigError: another kind of file, or matplotlib is not there."""
    if path.suffix not in KINDS:
        raise ConfigError(f"--output {path}: not a kind of picture that can be drawn", f"Let it end in {', '.join(KINDS)}.")
    if find_spec("matplotlib") is None:
        raise ConfigError("--output: matplotlib is not installed", "Install it beside the worker: pip install matplotlib")


def draw(comparison: Comparison, path: Path) -> None:
    """Write the picture, once `check` has passed. Raises ConfigError where it can't be written."""
    from matplotlib import rc_context  # here, for the worker does without: it is an extra, and takes half a second to import

    with rc_context({"svg.hashsalt": "tidemark"}):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            made(comparison).savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise ConfigError(f"--output {path}: {error.strerror}", "Name a file that can be written.") from error


def made(comparison: Comparison) -> "Figure":
    """The picture, on no screen and in no file yet."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.size": 10, "axes.titlesize": 11, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 8), layout="constrained")
        reads, errors = figure.subplots(2, height_ratios=(3, 2), sharex=True)
        _draw_reads(reads, comparison)
        _draw_errors(errors, comparison)
        _name_lines(figure, reads, comparison)
        return figure


def _draw_reads(axes: "Axes", comparison: Comparison) -> None:
    window = comparison.outcome(WINDOW)
    for (approach, counted), (color, style) in _LINES.items():
        outcome = comparison.outcome(approach, counted)
        days = _dates(night.day for night in outcome.nights)
        axes.plot(days, [night.bytes / 1e6 for night in outcome.nights], style, color=color, linewidth=2)
    named = days[:: -(-len(days) // _MOST_DATES)]
    axes.set_xticks(named, [str(day) for day in named])
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylabel("megabytes")
    axes.grid(axis="y", color="#e6e8ea")
    axes.set_title(
        f"Bytes read by each nightly run: in the last week, the window {comparison.ratio(window):.1f} times less than the full batch "
        f"(claimed: {CLAIMED_RATIO})",
        loc="left",
        fontweight="bold",
    )


def _name_lines(figure: "Figure", axes: "Axes", comparison: Comparison) -> None:
    """Beside its end each line's name, from the uppermost down; where names would lie over each other, the lower one moves down."""
    figure.draw_without_rendering()  # only now it is known how high a value lies
    outcomes = [(comparison.outcome(*line), color) for line, (color, _) in _LINES.items()]
    free = math.inf
    for outcome, color in sorted(outcomes, key=lambda each: each[0].nights[-1].bytes, reverse=True):
        last = outcome.nights[-1]
        end = (_dates([last.day])[0], last.bytes / 1e6)
        _, height = axes.transData.transform((0, end[1])) * 72 / figure.dpi
        name_height = min(height, free)
        free = name_height - _NAME_POINTS
        axes.annotate(
            comparison.title(outcome),
            end,
            (4, name_height - height),
            textcoords="offset points",
            color=color,
            va="center",
            annotation_clip=False,
        )


def _draw_errors(axes: "Axes", comparison: Comparison) -> None:
    wrong = comparison.outcome(WINDOW).wrong_days
    days = _dates(day.day for day in wrong)
    axes.bar(days, [day.net_cents.get(_CURRENCY, 0) / 100 for day in wrong], color=_RED)
    axes.axhline(0, color=_GREY, linewidth=0.8)
    axes.plot(days, [0] * len(days), "|", color=_RED, markersize=9)
    if not wrong:
        axes.set_ylim(-1, 1)
    axes.set_ylabel(f"net sales, {_CURRENCY}")
    axes.set_title(
        f"What the {comparison.setup.window_days}-day window has, less what is true: {len(wrong)} wrong days (marked). All others: none",
        loc="left",
        fontweight="bold",
    )


def _dates(days: Iterable[date]) -> npt.NDArray[np.datetime64]:
    return np.array(list(days), "datetime64[D]")
