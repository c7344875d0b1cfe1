"""Tables that fit a terminal: what is least important is left out, and no cell is cut."""

from collections.abc import Sequence

from rich.cells import cell_len

BESIDE_NAMES = 2  # groups of columns that must fit beside whole names; else names are shortened
SHORTEST_NAME = 12


def fit_columns(
    widths: Sequence[int], names: Sequence[str], groups: Sequence[Sequence[int]], width: int
) -> tuple[list[int], list[str]]:
    """The columns that fit into `width` beside the first, which has the names, and the names as they fit.

    `widths` has that of each column, with a space between two of them. `groups` are columns that stay or go together,
    the most important first.
    """
    needed = [sum(widths[number] + 1 for number in group) for group in groups]
    names = shorten_names(names, max(width - sum(needed[:BESIDE_NAMES]), SHORTEST_NAME))
    free = width - max(map(cell_len, names), default=0)
    kept: list[int] = []
    for group, room in zip(groups, needed, strict=True):
        free -= room
        if free < 0:
            break
        kept += group
    return sorted(kept), names


def shorten_names(names: Sequence[str], room: int) -> list[str]:
    """The names in at most `room` characters, those that are longer without their middle, and no two alike."""
    for tail in sorted(range(1, room - 1), key=lambda tail: abs(tail - room // 2)):
        shortened = [shorten_name(name, room, tail) for name in names]
        if len(set(shortened)) == len(set(names)):
            return shortened
    return [shorten_name(f"{name}{number}", room, len(str(number))) for number, name in enumerate(names, 1)]


def shorten_name(name: str, room: int, tail: int) -> str:
    return name if len(name) <= room else f"{name[: room - 1 - tail]}…{name[-tail:]}"
