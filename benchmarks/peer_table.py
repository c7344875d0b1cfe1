"""The tables: every row, and for each row of a peer the one of ours that answers it."""

from collections.abc import Sequence

from benchmarks.peer_material import FLOATS, Row
from benchmarks.peer_measure import REFERENCE, Measured


def print_rows(rows: Sequence[Row], measured: Measured) -> None:
    print("| tool | version | recipe | accuracy | changed answers | bytes | p50, ms | × of float |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    for row in rows:
        print(f"| {row.tool} | {row.version} | {row.recipe} | {cells(row, measured)} |")


def cells(row: Row, measured: Measured) -> str:
    figures = measured.figures.get(row.name)
    if figures is None:
        return f"{row.reason.replace('|', '/')} | – | – | – | –"
    times = figures.times_as_fast_as(measured.figures[REFERENCE])
    return f"{figures.accuracy:.2%} | {figures.changed} | {figures.size:,} | {figures.p50:.3f} | {times:.2f}"


def print_answers(ours: Sequence[Row], theirs: Sequence[Row], measured: Measured) -> bool:
    """True if each peer's row that has figures has a row of ours that is at least as accurate and as fast."""
    if not any(row.name in measured.figures for row in theirs):
        print("\nNo peer's row has figures: there is nothing to answer.")
        return True
    print("\n| peer's row | accuracy | × of float | ours at least as accurate and as fast | accuracy | × of float |")
    print("|---|---:|---:|---|---:|---:|")
    float_model, complete = measured.figures[REFERENCE], True
    for row in theirs:
        if row.name not in measured.figures:
            continue
        figures = measured.figures[row.name]
        best = answer(row, ours, measured)
        complete = complete and best is not None
        cells = f"{figures.accuracy:.2%} | {figures.times_as_fast_as(float_model):.2f}"
        if best is None:
            print(f"| {row.tool}, {row.recipe} | {cells} | **none** | – | – |")
            continue
        own = measured.figures[best.name]
        print(
            f"| {row.tool}, {row.recipe} | {cells} | {best.name} | {own.accuracy:.2%} "
            f"| {own.times_as_fast_as(float_model):.2f} |"
        )
    return complete


def answer(theirs: Row, ours: Sequence[Row], measured: Measured) -> Row | None:
    """The fastest of our rows as accurate as `theirs` and no slower but for the tolerance; float ones last."""
    target = measured.figures[theirs.name]
    good = [
        row
        for row in ours
        if (figures := measured.figures.get(row.name))
        and figures.accuracy >= target.accuracy
        and figures.times_as_fast_as(target) >= 1 - measured.tolerance
    ]
    return min(good, key=lambda row: (row.name in FLOATS, measured.figures[row.name].p50), default=None)
