"""The table of classes: by how much each variant is better or worse than the reference on each class."""

from collections.abc import Sequence
from dataclasses import dataclass

from driver.analysis.results import Comparison, Variant

CLASSES = 24  # columns
LEVELS = (1.0, 2.0, 4.0)  # points from which a class's difference has the next stronger colour


@dataclass(frozen=True)
class Cell:
    """A class of a variant, in points above the reference; `level` names its colour."""

    value: float | None
    level: str
    significant: bool


def table(comparison: Comparison) -> tuple[list[int], list[tuple[Variant, list[Cell]]]]:
    """The classes that are shown, and a row of cells for each variant but the reference."""
    rows = [row for row in comparison.variants if row.classes and row.name != comparison.reference]
    base = next((row for row in comparison.variants if row.name == comparison.reference and row.classes), None)
    labels = largest([base, *rows]) if base else []
    return labels, [(row, [cell(row, base, label) for label in labels]) for row in rows if base]


def largest(rows: Sequence[Variant]) -> list[int]:
    """All classes, or those that differ most from the first row."""
    labels = range(len(rows[0].classes))

    def range_of(label: int) -> float:
        return max((abs(difference(row, rows[0], label) or 0.0) for row in rows), default=0.0)

    return sorted(sorted(labels, key=lambda label: -range_of(label))[:CLASSES])


def difference(row: Variant, base: Variant, label: int) -> float | None:
    own, other = row.classes[label], base.classes[label]
    return 100 * (own.right / own.total - other.right / other.total) if own.total and other.total else None


def cell(row: Variant, base: Variant, label: int) -> Cell:
    value = difference(row, base, label)
    level = sum(abs(value or 0.0) >= limit for limit in LEVELS)
    name = "" if not level else f"{'loss' if (value or 0.0) < 0 else 'gain'}-{level}"
    return Cell(value, name, any(item.label == label for item in row.losing))
