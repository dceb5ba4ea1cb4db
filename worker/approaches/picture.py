"""The comparison as a picture: bytes read night by night, and by how much each day of the window is wrong in the end."""

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


def check(path: Path) -> None:
    """Whether it can be drawn, before the work. Raises ConfigError: another kind of file, or matplotlib is not there."""
    if path.suffix not in KINDS:
        raise ConfigError(f"--output {path}: not a kind of picture that can be drawn", f"Let it end in {', '.join(KINDS)}.")
    if find_spec("matplotlib") is None:
        raise ConfigError("--output: matplotlib is not installed", "Install it with the worker: pip install 'tidemark[charts]'")


def draw(comparison: Comparison, path: Path) -> None:
    """Write the picture, once `check` has passed. Raises ConfigError where it can't be written."""
    # Here, for the worker does without: it is an extra, and takes half a second to import.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(
        {"svg.hashsalt": "tidemark", "font.size": 10, "axes.titlesize": 11, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(11, 8), layout="constrained")
        reads, errors = figure.subplots(2, height_ratios=(3, 2), sharex=True)
        _draw_reads(reads, comparison)
        _draw_errors(errors, comparison)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise ConfigError(f"--output {path}: {error.strerror}", "Name a file that can be written.") from error


def _draw_reads(axes: "Axes", comparison: Comparison) -> None:
    window = comparison.outcome(WINDOW)
    for (approach, counted), (color, style) in _LINES.items():
        outcome = comparison.outcome(approach, counted)
        days, sizes = _dates(night.day for night in outcome.nights), [night.bytes / 1e6 for night in outcome.nights]
        axes.plot(days, sizes, style, color=color, linewidth=2)
        axes.annotate(f" {comparison.title(outcome)}", (days[-1], sizes[-1]), color=color, va="center", annotation_clip=False)
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


def _draw_errors(axes: "Axes", comparison: Comparison) -> None:
    wrong = comparison.outcome(WINDOW).wrong_days
    days = _dates(day.day for day in wrong)
    axes.bar(days, [day.net_cents.get(_CURRENCY, 0) / 100 for day in wrong], color=_RED)
    axes.axhline(0, color=_GREY, linewidth=0.8)
    axes.plot(days, [0] * len(days), "|", color=_RED, markersize=9)
    axes.set_ylabel(f"net sales, {_CURRENCY}")
    axes.set_title(
        f"What the {comparison.setup.window_days}-day window has, less what is true: {len(wrong)} wrong days (marked). All others: none",
        loc="left",
        fontweight="bold",
    )


def _dates(days: Iterable[date]) -> npt.NDArray[np.datetime64]:
    return np.array(list(days), "datetime64[D]")
