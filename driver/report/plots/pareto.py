"""The headline metric against what it costs: each variant a mark with its bound, and the Pareto front through the best.

Where variants are assessed by their paired loss, the loss is what is drawn, with the tolerance as a line: an interval
of the metric alone is wide enough to hide differences that are known well. Otherwise the metric itself is drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from driver.analysis import metric_specs
from driver.analysis.metric_specs import MetricSpec
from driver.analysis.results import Comparison, Variant
from driver.report import columns
from driver.report.plots import drawing, labels
from driver.report.plots.colours import colour_of
from driver.report.plots.drawing import BAD, BAD_SOFT, CARD, GOOD, INK, MUTED, SMALL, WARN
from shared.numerics import pareto_front

LINE = 17  # pixels of a legend's line
LABELLED = 30  # beyond so many variants only the front, the reference and what is shipped have labels
BEYOND = 3.0  # times the tolerance: a loss that is larger is drawn at the upper edge, so that it squeezes no other
RIM = 1.35  # from the outermost price to the edge
DASHES = (0, (5, 3))

Price = tuple[float, float, float]  # the median, and the ends of its range
GetPrice = Callable[[Variant], Price | None]


@dataclass(frozen=True)
class Style:
    """How a kind of variant is drawn: told apart by form as well as by colour."""

    shape: str
    colour: str
    filled: bool
    size: float
    text: str


STYLES = {
    "good_enough": Style("o", GOOD, True, 8.0, "shown good enough"),
    "not_shown": Style("D", WARN, False, 7.0, "not shown"),
    "worse": Style("X", BAD, True, 9.0, "shown worse than tolerated"),
    "not_tested": Style("s", MUTED, False, 6.0, "not tested"),
    "not_run": Style("s", MUTED, False, 6.0, "not run"),
    "reference": Style("s", INK, True, 7.0, "reference"),
    "": Style("s", MUTED, False, 6.0, "not assessed"),
}
FORMS = {False: ("o", "float"), True: ("D", "quantized")}  # where nothing is assessed, by whether it is quantized


@dataclass(frozen=True)
class Axis:
    """What is drawn upwards: the loss or the metric, in percent where it is a share; `limit` is the tolerance."""

    spec: MetricSpec
    is_loss: bool
    limit: float | None
    title: str

    @property
    def lower_is_better(self) -> bool:
        return self.is_loss or self.spec.better == "lower"

    @property
    def ceiling(self) -> float | None:
        """The largest loss that is drawn at its place."""
        return BEYOND * self.limit if self.is_loss and self.limit else None

    def text(self, value: float) -> str:
        return f"{self.spec.bare(value / self.spec.scale)} {self.unit}".rstrip()

    @property
    def unit(self) -> str:
        return self.spec.difference_unit if self.is_loss else self.spec.unit


@dataclass(frozen=True)
class Point:
    """A variant at its price, with the ends of its bound or interval, and those of its price over the passes."""

    row: Variant
    kind: str
    price: float
    value: float
    low: float
    high: float
    least: float
    most: float


def describe_axis(comparison: Comparison) -> Axis:
    """The loss, where some variant is assessed by it; the metric itself otherwise."""
    spec = columns.headline(comparison)
    limits = columns.find_limits(comparison)
    limit = spec.scale * limits[0].limit if limits else None
    if not limits or limits[0].quantity != "loss":
        return Axis(spec, False, limit, spec.axis)
    unit = f", {spec.difference_unit}" if spec.difference_unit else ""
    return Axis(spec, True, limit, f"loss of {spec.name} against {comparison.reference}{unit}")


def latency(comparison: Comparison, narrow: bool = False) -> tuple[str, list[str]]:
    """The plot, "" where nothing was timed; and the names of the variants on the front."""
    label = f"p50 of one {metric_specs.singular_of(comparison.unit)} on one thread, ms"
    return against(comparison, "accuracy-latency", label, get_latency, narrow)


def size(comparison: Comparison, narrow: bool = False) -> tuple[str, list[str]]:
    """The plot, "" where nothing has a size; and the names of the variants on the front."""
    return against(comparison, "accuracy-size", "size of the file, KB", get_size, narrow)


def get_latency(row: Variant) -> Price | None:
    """Milliseconds: the median, and the fastest and the slowest pass."""
    if row.latency_ms is None:
        return None
    passes = next((each.passes for each in row.timings if (each.batch, each.threads) == (1, 1)), ())
    every = (*passes, row.latency_ms.p50)
    return row.latency_ms.p50, min(every), max(every)


def get_size(row: Variant) -> Price | None:
    return (row.size_bytes / 1000,) * 3 if row.size_bytes else None


def against(
    comparison: Comparison, name: str, label: str, price: GetPrice, narrow: bool = False
) -> tuple[str, list[str]]:
    axis, points = describe_axis(comparison), list_points(comparison, price)
    if not points:
        return "", []
    painter = Painter(comparison, axis, points, find_front(axis, points), label, narrow)
    what = axis.title if axis.is_loss else axis.spec.full_title
    description = f"{what} of each variant against the {label}; the table of all variants has the figures"
    below = 50 + LINE * painter.legend_lines
    width, height = (drawing.NARROW, 330) if narrow else (470, 360)
    margins = (44, 12, below, 26)
    svg = drawing.draw(painter.name(name), description, (width, height + below), margins, painter)
    return svg, [point.row.name for point in painter.best]


def list_points(comparison: Comparison, price: GetPrice) -> list[Point]:
    """Of the variants that have a price and what is drawn, in the order of the rows."""
    axis = describe_axis(comparison)
    return [
        point
        for row in comparison.variants
        if row.status == "ok" and (cost := price(row)) is not None and cost[0] > 0
        if (point := make_point(comparison, axis, row, cost)) is not None
    ]


def make_point(comparison: Comparison, axis: Axis, row: Variant, price: Price) -> Point | None:
    metric, scale = row.headline, axis.spec.scale
    if metric is None:
        return None
    is_reference = row.name == comparison.reference
    value = metric.value if not axis.is_loss else 0.0 if is_reference else metric.loss
    if value is None:
        return None
    interval = None if axis.is_loss else metric.interval
    low, high = (interval.low, interval.high) if interval else (value, value)
    kind, assessed = "reference" if is_reference else "", row.assessment
    if assessed is not None and not is_reference:
        kind, value = assessed.outcome, choose_known(assessed.estimate, value)
        low, high = choose_known(assessed.low, value), choose_known(assessed.high, value)
    ends = (scale * value, scale * low, scale * high)
    return Point(row, kind, price[0], *ends, *price[1:])


def choose_known(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def find_front(axis: Axis, points: Sequence[Point]) -> list[Point]:
    """Those that no other beats in both, the cheapest first."""
    sign = -1 if axis.lower_is_better else 1
    front = pareto_front([point.price for point in points], [sign * point.value for point in points])
    return [points[index] for index in front]


def label_order(comparison: Comparison, points: Sequence[Point], best: Sequence[Point]) -> list[Point]:
    """The points, those that matter most first; of many, all others have no label."""
    first = {comparison.reference, comparison.shipped, *(point.row.name for point in best)}
    return sorted(points, key=lambda point: point.row.name not in first)


def list_labelled(comparison: Comparison, points: Sequence[Point], best: Sequence[Point]) -> list[Point]:
    """The points that have labels, from left to right: a narrow plot has their numbers in this order."""
    first = {comparison.reference, comparison.shipped, *(point.row.name for point in best)}
    shown = [point for point in points if len(points) <= LABELLED or point.row.name in first]
    return sorted(shown, key=lambda point: point.price)


def list_numbered(comparison: Comparison, price: GetPrice) -> list[str]:
    """The variants that the numbers of a narrow plot stand for, from 1 on."""
    axis, points = describe_axis(comparison), list_points(comparison, price)
    if not points:
        return []
    return [point.row.name for point in list_labelled(comparison, points, find_front(axis, points))]


@dataclass(frozen=True)
class Painter:
    comparison: Comparison
    axis: Axis
    points: list[Point]
    best: list[Point]
    label: str
    narrow: bool

    def name(self, plot: str) -> str:
        return plot + drawing.NARROW_SUFFIX * self.narrow

    @property
    def assessed(self) -> bool:
        return any(point.row.assessment for point in self.points)

    def style(self, point: Point) -> Style:
        """By what is shown of the variant; where nothing is assessed, by its image and form."""
        if self.assessed:
            return STYLES[point.kind]
        return Style(FORMS[point.row.quantized][0], colour_of(self.comparison, point.row), True, 7.5, point.row.image)

    def __call__(self, axes: Axes) -> list[str]:
        self.frame(axes)
        self.tolerance(axes)
        self.front(axes)
        for number, point in enumerate(self.points):
            self.mark(axes, point, f"{drawing.MARK}{number}")
        self.labels(axes)
        self.legend(axes)
        return [self.title(point) for point in self.points]

    def title(self, point: Point) -> str:
        if not self.axis.is_loss or point.kind == "reference":
            return f"{point.row.name}: {self.axis.text(point.value)} at {point.price:.3g}"
        bound = f", at most {self.axis.text(point.high)}" if point.high > point.value else ""
        return f"{point.row.name}: loss {self.axis.text(point.value)}{bound}, at {point.price:.3g}"

    def frame(self, axes: Axes) -> None:
        axes.set_title(self.axis.title)
        axes.set_xlabel(self.label)
        ceiling = self.axis.ceiling
        ends = [end for point in self.points for end in (point.low, point.high, point.value)]
        ends += [] if self.axis.limit is None else [self.axis.limit]
        low, high = min(ends), max(ends)
        if ceiling is not None:
            low, high = max(low, -ceiling), min(high, ceiling)
        room = max(0.12 * (high - low), 0.1 if self.axis.spec.unit else 1e-3 * abs(high))
        axes.set_ylim(low - room, high + room)
        prices = [end for point in self.points for end in (point.least, point.most)]
        axes.set_xlim(min(prices) / RIM, max(prices) * RIM)
        drawing.logarithmic(axes)

    def tolerance(self, axes: Axes) -> None:
        """The limit as a line, and what lies beyond it shaded."""
        limit = self.axis.limit
        if limit is None:
            return
        bottom, top = axes.get_ylim()
        beyond = (limit, top) if self.axis.is_loss else (bottom, limit)
        axes.axhspan(*beyond, color=BAD_SOFT, linewidth=0, zorder=0)
        axes.axhline(limit, color=BAD, linewidth=1.4, zorder=2)
        word = "tolerated" if self.axis.is_loss else "at least"
        place: dict[str, Any] = {"xytext": (-4, 3), "textcoords": "offset points", "ha": "right", "va": "bottom"}
        text = f"{word}: {self.axis.text(limit)}"
        axes.annotate(text, (1, limit), xycoords=("axes fraction", "data"), fontsize=SMALL, color=BAD, **place)

    def front(self, axes: Axes) -> None:
        """From the cheapest on: what is to be had at a price. It goes on to the right edge."""
        xs = [point.price for point in self.best] + [axes.get_xlim()[1]]
        ys = [point.value for point in self.best] + [self.best[-1].value]
        axes.step(xs, ys, where="post", color=MUTED, linewidth=1.1, linestyle=DASHES, zorder=1)

    def height(self, axes: Axes, point: Point) -> float:
        """Where the mark is: a loss far beyond the tolerance is at the upper edge."""
        ceiling = self.axis.ceiling
        return point.value if ceiling is None or point.value <= ceiling else axes.get_ylim()[1]

    def mark(self, axes: Axes, point: Point, gid: str) -> None:
        style, height = self.style(point), self.height(axes, point)
        few = len(self.points) <= LABELLED
        bars: dict[str, Any] = {"color": style.colour, "linewidth": 1.6, "alpha": 0.6 if few else 0.15, "zorder": 3}
        axes.plot([point.price] * 2, [point.low, point.high], **bars)
        if point.high > point.low and few:
            axes.plot([point.price], [point.high], "_", color=style.colour, markersize=8, markeredgewidth=1.6, zorder=3)
        axes.plot([point.least, point.most], [height] * 2, **bars)
        if point.row.name == self.comparison.shipped:
            axes.plot([point.price], [height], "o", color=INK, markerfacecolor="none", markersize=14, zorder=4)
        shape = style.shape if height == point.value else "^"
        fill: dict[str, Any] = {} if style.filled else {"markerfacecolor": CARD}
        axes.plot(
            [point.price],
            [height],
            shape,
            color=style.colour,
            markersize=style.size,
            markeredgewidth=1.6 if not style.filled else 0.6,
            clip_on=False,
            zorder=5,
            gid=gid,
            **fill,
        )

    def labels(self, axes: Axes) -> None:
        """Those that matter most come first, and find the best places."""
        order = label_order(self.comparison, self.points, self.best)
        labelled = list_labelled(self.comparison, self.points, self.best)
        numbers = {point.row.name: str(number) for number, point in enumerate(labelled, 1)}
        texts = [self.label_text(point, numbers) for point in order if point.row.name in numbers]
        bars = [(Bbox.from_extents(point.price, point.low, point.price * 1.01, point.high), 4.0) for point in order]
        places = [(point.price, self.height(axes, point)) for point in order]
        labels.place(axes, places, texts, [*bars, *self.lines(axes)])

    def label_text(self, point: Point, numbers: dict[str, str]) -> str:
        if self.narrow:
            return numbers[point.row.name]
        ceiling = self.axis.ceiling
        beyond = ceiling is not None and point.value > ceiling
        return f"{point.row.name} ({self.axis.text(point.value)})" if beyond else point.row.name

    def lines(self, axes: Axes) -> list[tuple[Bbox, float]]:
        """The front and the tolerance as boxes, and how bad it is for a label to lie on them."""
        ends = [(point.price, point.value) for point in self.best]
        ends.append((axes.get_xlim()[1], ends[-1][1]))
        flat = [Bbox.from_extents(x, y, after, y + 1e-8 * abs(y)) for (x, y), (after, _) in pairwise(ends)]
        upright = [Bbox.from_extents(x, y, x * 1.001, above) for (_, y), (x, above) in pairwise(ends)]
        boxes = [(box, 12.0) for box in flat + upright]
        if self.axis.limit is not None:
            (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
            word = 0.05 * (top - bottom)  # above the line, at the right, is what it is
            limit = self.axis.limit
            boxes.append((Bbox.from_extents(left, limit, right, limit + 1e-6), 30.0))
            boxes.append((Bbox.from_extents(left + 0.45 * (right - left), limit, right, limit + word), 60.0))
        return boxes

    @property
    def styles(self) -> list[Style]:
        """What the legend explains of the marks."""
        if self.assessed:
            present = {point.kind for point in self.points}
            return [style for kind, style in STYLES.items() if kind in present]
        images = {point.row.image: self.style(point) for point in reversed(self.points)}
        colours = [replace(images[name], shape="s") for name in dict.fromkeys(point.row.image for point in self.points)]
        return colours + [Style(shape, MUTED, True, 7.0, text) for shape, text in FORMS.values()]

    @property
    def ships(self) -> bool:
        return self.comparison.shipped in {point.row.name for point in self.points}

    @property
    def columns(self) -> int:
        return 2 if self.narrow else 3

    @property
    def legend_lines(self) -> int:
        return -(-(len(self.styles) + 1 + self.ships) // self.columns)

    def legend(self, axes: Axes) -> None:
        for style in self.styles:
            fill: dict[str, Any] = {} if style.filled else {"markerfacecolor": CARD}
            axes.plot([], [], style.shape, color=style.colour, markersize=7, label=style.text, **fill)
        if self.ships:
            axes.plot([], [], "o", color=INK, markerfacecolor="none", markersize=10, label="shipped")
        axes.plot([], [], color=MUTED, linewidth=1.1, linestyle=DASHES, label="Pareto front")
        place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (-0.06, -40 / axes.bbox.height)}
        axes.legend(
            **place, ncols=self.columns, fontsize=SMALL, handletextpad=0.2, columnspacing=0.8, labelspacing=0.35
        )
