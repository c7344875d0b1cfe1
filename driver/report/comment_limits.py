"""What of a long comparison goes into a pull request's comment; `comparison.csv` has every row."""

from collections.abc import Sequence

from driver.analysis.results import Comparison, Variant
from driver.decision.criteria import goodness, milliseconds

NOTHING = float("-inf")  # where there is no metric
LINES = 99
CHARACTERS = 600  # a line: so many lines of it stay below the 65,536 characters that GitHub takes as a comment
ROWS = 40  # of the table, where there is room for them
RUN_WARNINGS, DECISION, REASONS, BROKEN, ROW_NOTES, FOLDED = 5, 4, 6, 6, 6, 8  # lines of the other parts


def rows(comparison: Comparison, room: int) -> tuple[list[Variant], int]:
    """The rows that a reader wants most, in their own order, and how many are left out; `room` is in lines."""
    most = min(ROWS, room)
    if len(comparison.variants) > most:
        most = max(1, min(ROWS, room - 2))  # an empty line, and one that says how many more there are
    kept = {row.name for row in ranked(comparison)[:most]}
    return [row for row in comparison.variants if row.name in kept], len(comparison.variants) - len(kept)


def ranked(comparison: Comparison) -> list[Variant]:
    """The shipped variant, the float ones, then the sound ones that the fewest others beat, then the rest."""
    broken = comparison.broken
    sound = [row for row in comparison.variants if row.status == "ok" and row.name not in broken]
    names = {row.name for row in sound}

    def key(row: Variant) -> tuple[bool, bool, bool, int, float]:
        shipped = row.name == comparison.shipped
        beaten = sum(beats(other, row) for other in sound)
        return not shipped, row.quantized, row.name not in names, beaten, -goodness(row, NOTHING)

    return sorted(comparison.variants, key=key)


def beats(one: Variant, other: Variant) -> bool:
    """Both faster and more accurate; what was not measured is beaten by all that was."""
    return milliseconds(one) < milliseconds(other) and goodness(one, NOTHING) > goodness(other, NOTHING)


def escaped(text: str) -> str:
    """Text in Markdown as it stands: no HTML, no link, no picture. It may be of a model, a data set or a framework."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")


def first(lines: Sequence[str], most: int) -> list[str]:
    """At most so many lines, and one that says how many are left out."""
    return [*lines[:most], *([f"- … and {len(lines) - most} more"] if len(lines) > most else [])]


def cut(line: str) -> str:
    """One line of bearable length: a framework's words may be many."""
    line = " ".join(line.splitlines())
    return line if len(line) <= CHARACTERS else line[: CHARACTERS - 1] + "…"
