"""Plots with a row for each variant: how the calls' times are spread, and how well confidence is calibrated.

Each is drawn twice: with the names beside the rows, and, for a phone, with the names above them (`narrow`).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from driver.analysis import metric_specs
from driver.analysis.results import Comparison, Variant
from driver.report.plots import drawing
from driver.report.plots.colours import colour_of
from driver.report.plots.drawing import CARD, INK, MUTED, SMALL

Calls = NDArray[np.float64]
Entry = tuple[str, str, str]  # of a legend: shape, fill, label
ROW = 38  # pixels
NAME_LINE = 16  # pixels that the name above a row takes
NAME_HEIGHT = 0.8  # of the name's top over its row, in rows
LINE = 17  # of a legend
SIDES = (8, 14)  # pixels left and right of a narrow plot
NARROWEST = 0.01  # least bandwidth, in decades: a clock that stood still has no spread
POINTS, FEWER_POINTS = 240, 120  # of a density


def latency(comparison: Comparison, seconds: Mapping[str, Sequence[float]], narrow: bool = False) -> str:
    """The density of each variant's calls on a logarithmic axis; "" where there are none."""
    rows = [row for row in comparison.variants if len(seconds.get(row.name, ()))]
    calls = {row.name: 1000 * np.asarray(seconds[row.name], np.float64) for row in rows}
    paint = partial(densities, comparison=comparison, rows=rows, calls=calls, narrow=narrow)
    description = "Distribution of the time of one call of each variant; the table below has the percentiles"
    return by_row("latency", description, [row.name for row in rows], 130, paint, narrow=narrow) if rows else ""


def calibration(comparison: Comparison, narrow: bool = False) -> str:
    """Each variant's calibration error, from that of the variant that it was made from; "" where there are none."""
    rows = [row for row in comparison.variants if row.ece is not None]
    paint = partial(dumbbells, comparison=comparison, rows=rows, narrow=narrow)
    description = "Expected calibration error of each variant, before and after; the table below has the figures"
    names = [row.name for row in rows]
    return by_row("calibration", description, names, 60, paint, height=24, lines=2, narrow=narrow) if rows else ""


def by_row(
    name: str,
    description: str,
    rows: Sequence[str],
    right: int,
    paint: Any,
    *,
    height: int = ROW,
    lines: int = 1,
    narrow: bool = False,
) -> str:
    """The plot of these rows. `right` are the pixels beside them, `lines` the legend's where it is narrow."""
    if narrow:
        size = (drawing.NARROW, len(rows) * (height + NAME_LINE) + 62 + LINE * lines)
        margins = (SIDES[0], SIDES[1], 50 + LINE * lines, 12)
        return drawing.draw(name + drawing.NARROW_SUFFIX, description, size, margins, paint)
    left = 24 + 7 * max(map(len, rows))
    return drawing.draw(name, description, (drawing.WIDE, len(rows) * height + 90), (left, right, 64, 12), paint)


def set_rows(axes: Axes, names: Sequence[str], above: float, narrow: bool = False) -> None:
    """The rows' names, and no line beside them; `above` is the room over the first row, in rows."""
    axes.set_yticks(range(len(names)), [""] * len(names) if narrow else list(names))
    axes.set_ylim(len(names) - 1 + (0.3 if narrow else 0.45), -0.85 if narrow else -above)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for number, name in enumerate(names) if narrow else ():
        write_name(axes, number - NAME_HEIGHT, name)


def write_name(axes: Axes, height: float, name: str) -> None:
    """At the left edge, its top at this height."""
    axes.annotate(name, (0.0, height), xycoords=("axes fraction", "data"), fontsize=SMALL, va="top", zorder=9)


def annotate_row(axes: Axes, number: int, text: str, colour: str, narrow: bool) -> None:
    """Words right of a row; where that is narrow, right of its name."""
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "fontsize": SMALL, "color": colour}
    if narrow:
        axes.annotate(text, (1.0, number - NAME_HEIGHT), va="top", ha="right", zorder=9, **place)
    else:
        axes.annotate(text, (1.01, number), va="center", **place)


def densities(
    axes: Axes, comparison: Comparison, rows: Sequence[Variant], calls: Mapping[str, Calls], narrow: bool
) -> list[str]:
    set_rows(axes, [row.name for row in rows], 1.0, narrow)
    every = [percentiles(row, calls[row.name]) for row in rows]
    axes.set_xlim(min(seconds.min() for seconds in calls.values()) / 1.08, 1.25 * max(marks[2] for marks in every))
    drawing.logarithmic(axes)
    axes.set_xlabel(f"one {metric_specs.singular_of(comparison.unit)} on one thread, ms")
    for number, (row, marks) in enumerate(zip(rows, every, strict=True)):
        ridge(axes, number, calls[row.name], colour_of(comparison, row), narrow)
        axes.plot([marks[0], marks[2]], [number] * 2, color=INK, linewidth=1.2, zorder=4)
        axes.plot(marks[2:], [number], "|", color=INK, markersize=9, markeredgewidth=1.6, zorder=4)
        axes.plot(marks[1:2], [number], "D", color=INK, markersize=5, markerfacecolor=CARD, zorder=5)
        axes.plot(marks[:1], [number], "o", color=INK, markersize=6, zorder=5, gid=f"{drawing.MARK}{number}")
        beyond(axes, number, calls[row.name], narrow)
    legend(axes, [("o", INK, "p50"), ("D", CARD, "p90"), ("|", INK, "p99")])
    names = zip(rows, every, strict=True)
    return [f"{row.name}: p50 {marks[0]:.3f} ms, p90 {marks[1]:.3f} ms, p99 {marks[2]:.3f} ms" for row, marks in names]


def percentiles(row: Variant, calls: Calls) -> tuple[float, float, float]:
    """As the table has them; of the calls where it has none."""
    if row.latency_ms is not None:
        return row.latency_ms.p50, row.latency_ms.p90, row.latency_ms.p99
    p50, p90, p99 = np.percentile(calls, (50, 90, 99))
    return float(p50), float(p90), float(p99)


def ridge(axes: Axes, number: int, calls: Calls, colour: str, narrow: bool) -> None:
    """A Gaussian kernel density over the logarithm, with Silverman's bandwidth."""
    low, high = np.log10(axes.get_xlim())
    grid, values = np.linspace(low, high, FEWER_POINTS if narrow else POINTS), np.log10(calls)
    quartiles = np.percentile(values, (25, 75))
    spread = min(float(values.std()), float(quartiles[1] - quartiles[0]) / 1.34)
    width = max(0.9 * spread * len(values) ** -0.2, NARROWEST)
    density = np.exp(-0.5 * ((grid[:, None] - values) / width) ** 2).sum(axis=1)
    top = number - (0.5 if narrow else 0.82) * density / max(density.max(), 1e-300)
    seen = density > 1e-3 * density.max()
    axes.fill_between(10**grid, number, top, where=seen.tolist(), color=colour, alpha=0.3, linewidth=0)
    axes.plot(np.where(seen, 10**grid, np.nan), top, color=colour, linewidth=1.2)


def beyond(axes: Axes, number: int, calls: Calls, narrow: bool) -> None:
    """Calls beyond the right edge are counted in words, so that a few stalled ones don't squeeze all the others."""
    outside = calls[calls > axes.get_xlim()[1]]
    if len(outside):
        text = f"+ {len(outside)} up to {outside.max():.3g} ms"
        annotate_row(axes, number, text, MUTED, narrow)


def dumbbells(axes: Axes, comparison: Comparison, rows: Sequence[Variant], narrow: bool) -> list[str]:
    set_rows(axes, [row.name for row in rows], 0.6, narrow)
    errors = {row.name: 100 * row.ece for row in rows if row.ece is not None}
    made_from = {step.after: step.before for step in comparison.conversion_steps}
    titles = []
    for number, row in enumerate(rows):
        after = errors[row.name]
        before = errors.get(made_from.get(row.name, ""), after)
        colour = colour_of(comparison, row)
        axes.plot([before, after], [number] * 2, color=colour, linewidth=2, alpha=0.5)
        axes.plot([before], [number], "o", color=MUTED, markerfacecolor=CARD, markersize=7, zorder=3)
        axes.plot([after], [number], "o", color=colour, markersize=7, zorder=4, gid=f"{drawing.MARK}{number}")
        titles.append(f"{row.name}: {before:.2f} % before, {after:.2f} % after")
    axes.set_xlim(0, 1.1 * max(*errors.values(), 0.1))
    drawing.linear(axes)
    axes.set_xlabel("expected calibration error, %")
    legend(axes, [("o", CARD, "before: the variant it was made from"), ("o", INK, "after: the variant itself")], narrow)
    return titles


def legend(axes: Axes, entries: Sequence[Entry], one_column: bool = False) -> None:
    """Below the plot: in one line, or one below the other."""
    for shape, fill, label in entries:
        axes.plot([], [], shape, color=INK, markerfacecolor=fill, markeredgewidth=1.4, label=label)
    columns, height = 1 if one_column else len(entries), axes.bbox.height
    anchor: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, -34 / height), "borderpad": 0}
    axes.legend(ncols=columns, fontsize=SMALL, labelspacing=0.35, columnspacing=1.2, handletextpad=0.3, **anchor)
