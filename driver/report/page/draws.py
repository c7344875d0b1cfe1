"""Several draws of the calibration set, and sets of other sizes: which recipes can't be told apart."""

from collections.abc import Sequence
from itertools import combinations

from driver.analysis import calibration_draws
from driver.analysis.results import Comparison, Draws, Point, Variant

MANY, GROUPS, NAMES = 20, 6, 8  # recipes of which all pairs are looked at; in the sentence
CURVES = 12  # in the plot; the table has all of them
Accuracies = dict[str, tuple[float, ...]]  # of the draws of each recipe, the best mean first


def drawn(comparison: Comparison) -> list[tuple[Variant, Draws]]:
    """The rows that were calibrated on several draws."""
    return [(row, row.draws) for row in comparison.variants if row.draws is not None]


def sentence(comparison: Comparison) -> str:
    """Which recipes can't be told apart; of many, which can't be told from the best."""
    rows = {row.name: groups.values for row, groups in sorted(drawn(comparison), key=lambda item: -item[1].mean)}
    if len(rows) < 2:
        return f"Only {next(iter(rows))} was drawn several times: there is nothing to tell it from."
    groups = alike(rows) if len(rows) <= MANY else []
    if len(rows) > MANY or len(groups) > GROUPS:
        return from_best(rows)
    if not groups:
        return f"The draws tell each of these {len(rows)} recipes from every other."
    if len(groups[0]) == len(rows):
        return f"The draws tell none of these {len(rows)} recipes from another."
    return f"The draws can't tell apart: {'; '.join(map(listed, groups))}."


def from_best(rows: Accuracies) -> str:
    best, *others = rows
    near = [name for name in others if calibration_draws.are_indistinguishable(rows[best], rows[name])]
    return (
        f"The draws tell all others from {best}, which has the best mean{f', but for {listed(near)}' if near else ''}."
    )


def alike(rows: Accuracies) -> list[list[str]]:
    """Groups of recipes of which no two can be told apart, in the order of `rows`; every such pair is in one."""
    pairs = [
        pair for pair in combinations(rows, 2) if calibration_draws.are_indistinguishable(rows[pair[0]], rows[pair[1]])
    ]
    equal = set(pairs) | {(other, one) for one, other in pairs}
    groups = []
    while pairs:
        group = list(pairs[0])
        for name in rows:
            if all((name, other) in equal for other in group):
                group.append(name)
        groups.append([name for name in rows if name in group])
        pairs = [pair for pair in pairs if not set(pair) <= set(group)]
    return groups


def listed(names: Sequence[str]) -> str:
    """`a, b and c`; of many, how many more."""
    shown = list(names[:NAMES]) + ([f"{len(names) - NAMES} more"] if len(names) > NAMES else [])
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def sizes(comparison: Comparison) -> list[int]:
    """How many calibration images the curves have points for."""
    return sorted({point.images for row in comparison.variants for point in row.curve})


def curves(comparison: Comparison) -> list[tuple[str, list[Point | None]]]:
    """For each variant that has a curve its name, and a point or nothing for each size."""
    rows = [row for row in comparison.variants if row.curve]
    columns = sizes(comparison)
    points_by_variant = [(row.name, {point.images: point for point in row.curve}) for row in rows]
    return [(name, [points.get(images) for images in columns]) for name, points in points_by_variant]
