"""Two runs of one experiment side by side: other pins, another machine, another model file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver import statistics
from driver.results import Comparison, Paired, Variant
from driver.wording import points
from shared import predictions, store
from shared.contract import read
from shared.errors import CrossquantError
from shared.samples import LABELS


@dataclass(frozen=True)
class Run:
    """A run's folder, with what was said of it and every answer of every variant."""

    name: str
    comparison: Comparison
    labels: NDArray[np.uint8]
    answers: dict[str, NDArray[np.float32]]


def load(name: str) -> Run:
    """The run in a folder, or in that folder below volumes/. CrossquantError where there is none."""
    for folder in (Path(name), store.volumes() / name):
        path = folder / "comparison" / "comparison.json"
        if path.is_file():
            comparison = read(Comparison, path)
            found = {row.name: folder / row.image / f"predictions.{row.name}" for row in comparison.variants}
            answers = {
                name: np.load(at / predictions.file(0))
                for name, at in found.items()
                if at.is_dir() and any(at.glob("*.npy"))
            }
            return Run(name, comparison, np.load(folder / "keras" / "dataset" / LABELS), answers)
    raise CrossquantError(f"'{name}' is no run: give the folder of an experiment that has a comparison/comparison.json")


def show(before: Run, after: Run, console: Console) -> None:
    """What changed in versions, accuracy, size and latency, from `before` to `after`."""
    console.print(Text(f"{before.name} → {after.name}", "bold"), soft_wrap=True)
    for line in (*changed_versions(before.comparison, after.comparison), *changed_host(before, after)):
        console.print(line, soft_wrap=True, highlight=False)
    headings = ("variant", "top-1 %", "→", "Δ pp", "95%", "p (Holm)", "changed", "size KB", "→", "p50 ms", "→")
    table = Table(*headings, box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0, collapse_padding=True)
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for cells in rows(before, after):
        table.add_row(*cells)
    console.print(table)


def changed_versions(before: Comparison, after: Comparison) -> list[str]:
    lines = []
    for image in {**before.versions, **after.versions}:
        old, new = before.versions.get(image, {}), after.versions.get(image, {})
        moved = [
            f"{name} {old.get(name, '–')} → {new.get(name, '–')}"
            for name in {**old, **new}
            if old.get(name) != new.get(name)
        ]
        lines += [f"{image}: {', '.join(moved)}"] if moved else []
    return lines or ["the same versions"]


def changed_host(before: Run, after: Run) -> list[str]:
    """Timings of two machines say little about two versions."""
    old, new = before.comparison.host["cpu"], after.comparison.host["cpu"]
    return [] if old == new else [f"another CPU: {old} → {new}; the timings are of two machines"]


def rows(before: Run, after: Run) -> list[list[str]]:
    old = {row.name: row for row in before.comparison.variants}
    new = {row.name: row for row in after.comparison.variants}
    pairs = tests(before, after)
    return [
        cells(name, old.get(name), new.get(name), pairs.get(name), changed(name, before, after))
        for name in {**old, **new}
    ]


def tests(before: Run, after: Run) -> dict[str, Paired]:
    """Paired, where both runs answered the same images: McNemar, Holm's correction over the variants."""
    if not np.array_equal(before.labels, after.labels):
        return {}
    both = [name for name in before.answers if name in after.answers]
    right = [[run.answers[name].argmax(axis=1) == run.labels for run in (before, after)] for name in both]
    return dict(zip(both, statistics.holm([statistics.paired(*pair) for pair in right]), strict=True))


def changed(name: str, before: Run, after: Run) -> str:
    if name not in before.answers or name not in after.answers or len(before.labels) != len(after.labels):
        return "–"
    return str(int((before.answers[name].argmax(axis=1) != after.answers[name].argmax(axis=1)).sum()))


def cells(name: str, old: Variant | None, new: Variant | None, pairs: Paired | None, moved: str) -> list[str]:
    tested = ["–", "–", "–"]
    if pairs is not None:
        low, high = pairs.interval_pp.low, pairs.interval_pp.high
        tested = [points(pairs.delta_pp), f"{points(low)}…{points(high)}", f"{pairs.p_holm:.2g}"]
    return [name, accuracy(old), accuracy(new), *tested, moved, size(old), size(new), latency(old), latency(new)]


def accuracy(row: Variant | None) -> str:
    if row is None or row.accuracy is None:
        return "–" if row is None else row.status
    return f"{100 * row.accuracy:.2f}"


def size(row: Variant | None) -> str:
    return "–" if row is None or row.size_bytes is None else f"{row.size_bytes / 1000:,.0f}"


def latency(row: Variant | None) -> str:
    return "–" if row is None or row.latency_ms is None else f"{row.latency_ms.p50:.3f}"
