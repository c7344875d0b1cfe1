"""Accuracy against what it costs: each variant a mark with its error bars, and the Pareto front through the best."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from driver.analysis import metric_specs
from driver.analysis.metric_specs import MetricSpec
from driver.analysis.results import Comparison, Metric, Variant
from driver.report import columns
from driver.report.plots import drawing, labels
from driver.report.plots.drawing import IMAGES, INK, MUTED
from shared.numerics import pareto_front

A_LINE, LINE = 6, 18  # entries of the legend, pixels
LABELLED = 30  # beyond so many variants only the front, the reference and what is shipped have labels


@dataclass(frozen=True)
class Cost:
    """A variant at its price. Accuracy in percent, or what the task has instead, with its 95% interval; the price with
    that of the passes.
    """

    row: Variant
    price: float
    accuracy: float
    low: float
    high: float
    least: float
    most: float


def latency(comparison: Comparison) -> tuple[str, list[str]]:
    """The plot, "" where nothing was timed; and the names of the variants on the front."""
    return against(
        comparison,
        "accuracy-latency",
        f"p50 of one {metric_specs.singular_of(comparison.unit)} on one thread, ms",
        at_latency,
    )


def size(comparison: Comparison) -> tuple[str, list[str]]:
    """The plot, "" where nothing has a size; and the names of the variants on the front."""
    return against(comparison, "accuracy-size", "size of the file, KB", at_size)


def at_latency(row: Variant) -> tuple[float, float, float] | None:
    """Milliseconds: the median, and the fastest and the slowest pass."""
    if row.latency_ms is None:
        return None
    single = [timing for timing in row.timings if (timing.batch, timing.threads) == (1, 1)]
    passes = [value for timing in single for value in timing.passes] or [row.latency_ms.p50]
    return row.latency_ms.p50, min(passes), max(passes)


def at_size(row: Variant) -> tuple[float, float, float] | None:
    return (row.size_bytes / 1000,) * 3 if row.size_bytes else None


def against(
    comparison: Comparison, name: str, label: str, price: Callable[[Variant], tuple[float, float, float] | None]
) -> tuple[str, list[str]]:
    costs = []
    for row in comparison.variants:
        costs_of_row = price(row)
        if row.status == "ok" and row.headline is not None and costs_of_row is not None and costs_of_row[1] > 0:
            costs.append(at(row, row.headline, costs_of_row))
    if not costs:
        return "", []
    spec = columns.headline(comparison)
    sign = 1 if spec.better == "higher" else -1
    front = pareto_front([cost.price for cost in costs], [sign * cost.accuracy for cost in costs])
    best = [costs[index] for index in front]
    paint = Painter(comparison, costs, best, label, spec)
    by = spec.full_title
    description = f"{by} of each variant against the {label}; the table of all variants has the figures"
    more = LINE * (entries(costs) > A_LINE)  # the legend's second line
    return drawing.draw(name, description, (470, 410 + more), (40, 14, 66 + more, 26), paint), [
        cost.row.name for cost in best
    ]


def entries(costs: Sequence[Cost]) -> int:
    """Of the legend: the images, two forms and the front."""
    return len({cost.row.image for cost in costs}) + 3


def at(row: Variant, metric: Metric, price: tuple[float, float, float]) -> Cost:
    scale = metric_specs.spec_of(metric).scale
    low, high = (metric.interval.low, metric.interval.high) if metric.interval else (metric.value, metric.value)
    return Cost(row, price[0], scale * metric.value, scale * low, scale * high, *price[1:])


@dataclass(frozen=True)
class Painter:
    comparison: Comparison
    costs: list[Cost]
    best: list[Cost]
    label: str
    spec: MetricSpec

    def __call__(self, axes: Axes) -> list[str]:
        self.frame(axes)
        self.line(axes)
        for number, cost in enumerate(self.costs):
            self.mark(axes, cost, f"{drawing.MARK}{number}")
        self.labels(axes)
        self.legend(axes)
        scale, text = self.spec.scale, self.spec.text
        return [f"{cost.row.name}: {text(cost.accuracy / scale)} at {cost.price:.3g}" for cost in self.costs]

    def frame(self, axes: Axes) -> None:
        axes.set_title(self.spec.axis)
        axes.set_xlabel(self.label)
        low, high = min(cost.low for cost in self.costs), max(cost.high for cost in self.costs)
        room = max(0.12 * (high - low), 0.1 if self.spec.unit else 1e-3 * abs(high))
        axes.set_ylim(low - room, high + room)
        axes.set_xlim(min(cost.least for cost in self.costs) / 1.35, max(cost.most for cost in self.costs) * 1.35)
        drawing.logarithmic(axes)

    def line(self, axes: Axes) -> None:
        """From the cheapest on: what accuracy is to be had at a price. It goes on to the right edge."""
        xs = [cost.price for cost in self.best] + [axes.get_xlim()[1]]
        ys = [cost.accuracy for cost in self.best] + [self.best[-1].accuracy]
        axes.step(xs, ys, where="post", color=INK, linewidth=1.3, linestyle=(0, (5, 3)), zorder=3)

    def mark(self, axes: Axes, cost: Cost, gid: str) -> None:
        colour, quantized = colour_of(self.comparison, cost.row), cost.row.quantized
        bars: dict[str, Any] = {
            "color": colour,
            "linewidth": 1.0,
            "alpha": 0.5 if len(self.costs) <= LABELLED else 0.12,
            "zorder": 1,
        }
        axes.plot([cost.price] * 2, [cost.low, cost.high], **bars)
        axes.plot([cost.least, cost.most], [cost.accuracy] * 2, **bars)
        shape, area = ("D", 7.0) if quantized else ("o", 8.5)
        axes.plot([cost.price], [cost.accuracy], shape, color=colour, markersize=area, zorder=5, gid=gid)

    def labels(self, axes: Axes) -> None:
        """Those that matter most come first, and find the best places."""
        first = {self.comparison.reference, self.comparison.shipped, *(cost.row.name for cost in self.best)}
        order = sorted(self.costs, key=lambda cost: cost.row.name not in first)
        shown = [cost.row.name for cost in order if len(order) <= LABELLED or cost.row.name in first]
        bars = [(Bbox.from_extents(cost.price, cost.low, cost.price * 1.01, cost.high), 4.0) for cost in order]
        labels.place(axes, [(cost.price, cost.accuracy) for cost in order], shown, bars + self.steps(axes))

    def steps(self, axes: Axes) -> list[tuple[Bbox, float]]:
        """The front as boxes, and how bad it is for a label to lie on it."""
        ends = [(cost.price, cost.accuracy) for cost in self.best]
        ends.append((axes.get_xlim()[1], ends[-1][1]))
        flat = [Bbox.from_extents(x, y, after, y * (1 + 1e-8)) for (x, y), (after, _) in pairwise(ends)]
        upright = [Bbox.from_extents(x, y, x * 1.001, above) for (_, y), (x, above) in pairwise(ends)]
        return [(box, 30.0) for box in flat + upright]

    def legend(self, axes: Axes) -> None:
        for image in dict.fromkeys(cost.row.image for cost in self.costs):
            row = next(cost.row for cost in self.costs if cost.row.image == image)
            axes.plot([], [], "s", color=colour_of(self.comparison, row), label=image)
        axes.plot([], [], "o", color=MUTED, label="float")
        axes.plot([], [], "D", color=MUTED, label="quantized")
        axes.plot([], [], color=INK, linewidth=1.3, linestyle=(0, (5, 3)), label="front")
        place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.46, -0.115)}
        place["ncols"] = min(A_LINE, entries(self.costs))
        axes.legend(**place, fontsize=10, handletextpad=0.1, columnspacing=0.8)


def colour_of(comparison: Comparison, row: Variant) -> str:
    names = list(dict.fromkeys(item.image for item in comparison.variants))
    return IMAGES[names.index(row.image) % len(IMAGES)]
