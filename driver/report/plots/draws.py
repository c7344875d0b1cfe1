"""Plots of the calibration set's part in the accuracy: the draws of each recipe, and the size of the set."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from driver.analysis.results import Comparison, Draws, Point, Variant
from driver.report import columns
from driver.report.page import draws
from driver.report.plots import drawing
from driver.report.plots.colours import colour_of
from driver.report.plots.drawing import CARD, INK, MUTED, SMALL
from driver.report.plots.rows import LINE, by_row, legend, set_rows

ROW = 26  # pixels
SHAPES = "os^Dvph*XP<>"  # a mark for each curve, since those of an image share its colour
FEW = 4  # curves whose intervals are drawn as strong as one's
APART = 15  # pixels between the names at the curves' ends
DODGE = 1.02  # by which factor two curves are apart, so that their intervals are seen


def strip(comparison: Comparison, narrow: bool = False) -> str:
    """The accuracy of each draw, and mean and standard deviation over them; "" where each recipe was drawn once."""
    rows = [(row, row.draws) for row in comparison.variants if row.draws is not None and row.status == "ok"]
    name = columns.headline(comparison).title
    description = f"{name} of each recipe on several draws of the calibration set; the table below has the figures"
    paint = partial(dots, comparison=comparison, rows=rows, narrow=narrow)
    names = [row.name for row, _ in rows]
    return by_row("draws", description, names, 30, paint, height=ROW, lines=3, narrow=narrow) if rows else ""


def dots(axes: Axes, comparison: Comparison, rows: Sequence[tuple[Variant, Draws]], narrow: bool) -> list[str]:
    set_rows(axes, [row.name for row, _ in rows], 0.7, narrow)
    titles, spec = [], columns.headline(comparison)
    scale = spec.scale
    for number, (row, drawn) in enumerate(rows):
        shipped, *others = [scale * value for value in drawn.values]
        mean, sd, colour = scale * drawn.mean, scale * drawn.sd, colour_of(comparison, row)
        axes.plot([mean - sd, mean + sd], [number] * 2, color=colour, linewidth=7, alpha=0.28, solid_capstyle="butt")
        axes.plot([mean], [number], "|", color=INK, markersize=15, markeredgewidth=1.8, gid=f"{drawing.MARK}{number}")
        axes.plot(others, [number] * len(others), "o", color=colour, markersize=5, alpha=0.8, zorder=5)
        axes.plot([shipped], [number], "D", color=INK, markersize=5.5, markerfacecolor=CARD, zorder=6)
        spread = f"{spec.bare(drawn.mean)} ± {spec.bare(drawn.sd)} {spec.unit}".strip()
        titles.append(f"{row.name}: {spread} over {len(drawn.values)} draws")
    base = next((row.headline for row in comparison.variants if row.name == comparison.reference), None)
    if base is not None:
        axes.axvline(scale * base.value, color=MUTED, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    drawing.linear(axes, 4 if narrow else 6)
    axes.set_xlabel(f"{spec.axis}; dashed: {comparison.reference}")
    entries = [("D", CARD, "the file in the table"), ("o", INK, "another draw"), ("|", INK, "mean, bar: ± sd")]
    legend(axes, entries, narrow)
    return titles


def curve(comparison: Comparison, narrow: bool = False) -> str:
    """Accuracy against the number of calibration images; "" where no variant has a curve."""
    rows = [row for row in comparison.variants if row.curve][: draws.CURVES]
    if not rows:
        return ""
    name = columns.headline(comparison).title
    description = (
        f"{name} of each variant against its number of calibration {comparison.unit}; the table below has the figures"
    )
    paint = partial(lines, comparison=comparison, rows=rows, narrow=narrow)
    if narrow:
        below = 56 + LINE * len(rows)
        margins = (44, 12, below, 26)
        return drawing.draw("curve" + drawing.NARROW_SUFFIX, description, (drawing.NARROW, 280 + below), margins, paint)
    right = 24 + 7 * max(len(row.name) for row in rows)
    return drawing.draw("curve", description, (drawing.WIDE, 420), (48, right, 52, 26), paint)


def lines(axes: Axes, comparison: Comparison, rows: Sequence[Variant], narrow: bool) -> list[str]:
    spec = columns.headline(comparison)
    axes.set_title(spec.axis)
    axes.set_xlabel(f"calibration {comparison.unit}")
    scale = spec.scale
    for number, row in enumerate(rows):
        factor = DODGE ** (number - (len(rows) - 1) / 2)
        xs = [factor * point.images for point in row.curve]
        ys = [scale * point.value for point in row.curve]
        colour = colour_of(comparison, row)
        lows, highs = zip(
            *((scale * point.interval.low, scale * point.interval.high) for point in row.curve), strict=True
        )
        axes.vlines(xs, lows, highs, color=colour, linewidth=1.2, alpha=0.45 if len(rows) <= FEW else 0.2)
        axes.plot(xs, ys, color=colour, linewidth=1.6)
        shape: dict[str, Any] = {"marker": SHAPES[number], "markeredgecolor": CARD, "markersize": 8}
        axes.plot(xs, ys, color=colour, linestyle="", zorder=4, gid=f"{drawing.MARK}{number}", **shape)
    numbers(axes, sorted({point.images for row in rows for point in row.curve}))
    if narrow:
        names_below(axes, comparison, rows)
    else:
        names_at_ends(axes, comparison, rows)
    return [f"{row.name}: {', '.join(point_text(comparison, point) for point in row.curve)}" for row in rows]


def point_text(comparison: Comparison, point: Point) -> str:
    return f"{point.images:,} {comparison.unit} {columns.headline(comparison).text(point.value)}"


def numbers(axes: Axes, images: Sequence[int]) -> None:
    """A logarithmic axis whose ticks are the sizes themselves, as far as they have room."""
    axes.set_xscale("log")
    axes.set_xlim(images[0] / 1.2, images[-1] * 1.2)
    places = axes.transData.transform([(value, axes.get_ylim()[0]) for value in images])[:, 0]
    kept = [images[-1]]
    for value, place in reversed(list(zip(images, places, strict=True))):
        if axes.transData.transform((kept[-1], axes.get_ylim()[0]))[0] - place >= 45:
            kept.append(value)
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(7))


def names_at_ends(axes: Axes, comparison: Comparison, rows: Sequence[Variant]) -> None:
    """Each variant's mark and name right of its last point, moved up where another one is too near."""
    scale = columns.headline(comparison).scale
    ends = sorted((scale * row.curve[-1].value, number) for number, row in enumerate(rows))
    wanted = [float(axes.transData.transform((1, end))[1]) for end, _ in ends]
    spots = spread(wanted, axes.bbox.y1)
    for (_, number), spot in zip(ends, spots, strict=True):
        height = (spot - axes.bbox.y0) / axes.bbox.height
        colour = colour_of(comparison, rows[number])
        axes.plot([1.02], [height], SHAPES[number], color=colour, markersize=7, transform=axes.transAxes, clip_on=False)
        axes.text(1.04, height, rows[number].name, transform=axes.transAxes, fontsize=SMALL, va="center_baseline")


def names_below(axes: Axes, comparison: Comparison, rows: Sequence[Variant]) -> None:
    """Each variant's mark and name, one below the other."""
    for number, row in enumerate(rows):
        axes.plot([], [], SHAPES[number], color=colour_of(comparison, row), markersize=7, label=row.name)
    anchor = (0, -42 / axes.bbox.height)
    axes.legend(loc="upper left", bbox_to_anchor=anchor, fontsize=SMALL, borderpad=0, labelspacing=0.35)


def spread(wanted: Sequence[float], highest: float) -> list[float]:
    """Near the pixels that are wanted (ascending), but APART from each other, and none above the highest."""
    spots: list[float] = []
    for place in wanted:
        spots.append(max(place, spots[-1] + APART) if spots else place)
    return [min(spot, highest - APART * above) for above, spot in zip(reversed(range(len(spots))), spots, strict=True)]
