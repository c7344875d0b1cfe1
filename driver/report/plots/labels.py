"""Labels beside points, such that none covers another one or a mark."""

import math
from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from driver.report.plots.drawing import INK, MUTED, SMALL

REACH = (9, 15, 22, 30, 40, 52, 66, 82, 100)  # pixels from a point to its label
TURNS = 24
GAP = 2  # pixels between two labels
RADIUS = 6  # pixels of a mark
LEADER = 14  # pixels from which a line leads to the label
CROSSING = 25  # a leader through a label or mark is as bad as so many pixels more

Point = tuple[float, float]


def place(
    axes: Axes, points: Sequence[Point], labels: Sequence[str], avoid: Sequence[tuple[Bbox, float]] = ()
) -> list[str]:
    """Write the labels, the first with the most freedom; those that found no room are returned.

    `points` are in data, and all marks; only the first of them have labels. `avoid` are boxes, in data, and
    as how many pixels more it counts to lie on them.
    """
    pixels = [tuple(map(float, axes.transData.transform(point))) for point in points]
    marks = [Bbox.from_extents(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in pixels]
    lines = [(Bbox(axes.transData.transform(box.get_points())), weight) for box, weight in avoid]
    taken: list[Bbox] = []
    left = []
    for (x, y), label in zip(pixels, labels, strict=False):
        spot = best(axes, (x, y), size(axes, label), [*marks, *taken], lines)
        if spot is None:
            left.append(label)
            continue
        taken.append(spot)
        write(axes, (x, y), spot, label)
    return left


def size(axes: Axes, label: str) -> Point:
    """Width and height in pixels."""
    text = axes.text(0, 0, label, fontsize=SMALL)
    box = text.get_window_extent()
    text.remove()
    return 1.06 * box.width + 2 * GAP, box.height + GAP


def best(
    axes: Axes, point: Point, size: Point, taken: Sequence[Bbox], avoid: Sequence[tuple[Bbox, float]]
) -> Bbox | None:
    """The place of the least cost inside the plot that covers nothing; the first of several."""
    frame, (least, chosen) = axes.bbox, (math.inf, None)
    for reach, spot in around(point, size):
        if reach >= least:
            break  # the places come by their reach, and cost at least that
        inside = frame.x0 <= spot.x0 and spot.x1 <= frame.x1 and frame.y0 <= spot.y0 and spot.y1 <= frame.y1
        if inside and not spot.count_overlaps(taken):
            cost = reach + sum(weight for box, weight in avoid if spot.overlaps(box))
            if cost < least:
                cost += CROSSING * crossed(point, spot, taken)
            if cost < least:
                least, chosen = cost, spot
    return chosen


def around(point: Point, size: Point) -> Iterator[tuple[float, Bbox]]:
    (x, y), (width, height) = point, size
    for reach in REACH:
        for turn in range(TURNS):
            angle = 2 * math.pi * turn / TURNS
            middle_x = x + math.cos(angle) * (reach + width / 2)
            middle_y = y + math.sin(angle) * (reach + height / 2)
            yield reach, Bbox.from_bounds(middle_x - width / 2, middle_y - height / 2, width, height)


def crossed(point: Point, spot: Bbox, taken: Sequence[Bbox]) -> int:
    """How many labels and other marks the leader would run through."""
    end = nearest(point, spot)
    steps = [(point[0] + (end[0] - point[0]) * k / 12, point[1] + (end[1] - point[1]) * k / 12) for k in range(1, 12)]
    own = [box for box in taken if not box.contains(*point)]
    return sum(any(box.contains(*step) for step in steps) for box in own)


def nearest(point: Point, spot: Bbox) -> Point:
    return min(max(point[0], spot.x0), spot.x1), min(max(point[1], spot.y0), spot.y1)


def write(axes: Axes, point: Point, spot: Bbox, label: str) -> None:
    back = axes.transData.inverted()
    end = nearest(point, spot)
    if math.dist(point, end) > LEADER:
        xs, ys = zip(*(back.transform(place) for place in (point, end)), strict=True)
        axes.plot(xs, ys, color=MUTED, linewidth=0.7, zorder=2)
    x, y = back.transform(((spot.x0 + spot.x1) / 2, (spot.y0 + spot.y1) / 2))
    axes.text(x, y, label, fontsize=SMALL, ha="center", va="center_baseline", color=INK, zorder=6)
