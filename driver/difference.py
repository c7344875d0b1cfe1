"""Two runs of one experiment side by side: other pins, another machine, another model file."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver import comparison_folder, declared, measures, page_metrics, statistics, tasks
from driver.declared import Unusable
from driver.results import Comparison, Interval, Metric, Variant
from driver.tasks import Answer, Truth
from driver.wording import points
from shared import predictions, samples, store
from shared.errors import CrossquantError
from shared.samples import Array


@dataclass(frozen=True)
class Run:
    """A run's folder, with what was said of it and every answer of every variant."""

    name: str
    comparison: Comparison
    truth: Truth
    outputs: dict[str, Array]  # what the task judges

    @cached_property
    def answers(self) -> dict[str, Answer]:
        return {name: Answer(self.truth, found) for name, found in self.outputs.items()}


def load(name: str) -> Run:
    """The run in a folder, or in that folder below volumes/. CrossquantError where there is none, or it is damaged.

    Only what the comparison was made from is read, and only if it is still that.
    """
    for folder in (Path(name), store.volumes() / name):
        comparison = comparison_folder.read_comparison(folder / comparison_folder.NAME)
        if comparison is not None:
            return read_run(name, folder, comparison)
    raise CrossquantError(f"'{name}' is no run: give the folder of an experiment that has a comparison/comparison.json")


def read_run(name: str, folder: Path, comparison: Comparison) -> Run:
    dataset = checked(folder / "keras", "dataset", comparison)
    if dataset is None:
        raise CrossquantError(f"'{name}' was compared without test samples: make them by `python -m driver run` first")
    about = samples.about(dataset)
    about = replace(about, task="fidelity") if comparison.task == "fidelity" else about
    labelled = checked(folder / "keras", "labels", comparison) or dataset  # earlier versions kept them there
    for artifact in (dataset, labelled):
        check_samples(artifact)
    inputs, labels = samples.inputs(dataset)[0], samples.labels(labelled)
    outputs = judged(folder, comparison, about.judged, samples.count(dataset))
    reference = outputs.get(comparison.reference)
    truth = Truth(about, labels, samples.mapped(inputs) if about.task == "reconstruction" else None, reference)
    fitting = {name: found for name, found in outputs.items() if not tasks.misfit(truth, found)}
    return Run(name, comparison, truth, fitting)


def check_samples(artifact: Path) -> None:
    """CrossquantError where its arrays are no samples."""
    try:
        declared.check_samples(artifact, {path.name for path in artifact.iterdir()})
    except Unusable as error:
        raise CrossquantError(f"{artifact} can't be read: {error}: run that experiment again") from None


def judged(folder: Path, comparison: Comparison, number: int, count: int) -> dict[str, Array]:
    """What each variant answered, of the output of this number."""
    found = {}
    for row in comparison.variants:
        path = checked(folder / row.image, f"predictions.{row.name}", comparison)
        files = predictions.outputs(path) if path else ()
        if number < len(files) and (answers := sound(files[number], count)) is not None:
            found[row.name] = answers
    return found


def sound(file: Path, count: int) -> Array | None:
    """The answers in `file` to `count` samples; None where they are none: their row says so."""
    try:
        found = declared.array(file)
        declared.check_answer(file.name, found, count)
    except Unusable:
        return None
    return found


def checked(folder: Path, artifact: str, comparison: Comparison) -> Path | None:
    """Where the artifact is that was compared, its files hashed again; None where the comparison had none."""
    wanted = (comparison.digests or {}).get(artifact)
    if wanted is None:
        return None
    path = folder / artifact
    seal = store.open_sealed(path, artifact)
    if seal is None or store.digest(seal) != wanted:
        found = "is missing" if seal is None else "was made anew"
        raise CrossquantError(
            f"{path} {found} since it was compared: make the comparison anew with `python -m driver report`"
        )
    return path


def show(before: Run, after: Run, console: Console) -> None:
    """What changed in versions, accuracy, size and latency, from `before` to `after`."""
    console.print(Text(f"{before.name} → {after.name}", "bold"), soft_wrap=True)
    for line in (*changed_versions(before.comparison, after.comparison), *changed_host(before, after)):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    measure = page_metrics.headline(after.comparison)
    figures = (measure.heading, "→", measure.difference_heading, "95%", "p (Holm)", "changed")
    headings = ("variant", *figures, "size KB", "→", "p50 ms", "→")
    table = Table(*headings, box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0, collapse_padding=True)
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for cells in rows(before, after):
        table.add_row(*map(Text, cells))
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


def tests(before: Run, after: Run) -> dict[str, Metric]:
    """Paired, where both runs answered the same samples, by the task's test; Holm's correction over the variants."""
    if not same_samples(before, after):
        return {}
    both = [name for name in before.outputs if name in after.outputs]
    found = {name: tasks.headline(after.answers[name], before.answers[name]) for name in both}
    p_holm = statistics.holm_p_values([1.0 if each.p_value is None else each.p_value for each in found.values()])
    return {name: replace(each, p_holm=p) for (name, each), p in zip(found.items(), p_holm, strict=True)}


def same_samples(before: Run, after: Run) -> bool:
    """By their labels; where there are none, by the digest of the data set."""
    one, other = before.truth, after.truth
    if (one.task, one.judges, other.judges) != (other.task, True, True):
        return False
    if one.labels is not None and other.labels is not None:
        return np.array_equal(one.labels, other.labels)
    digests = [(run.comparison.digests or {}).get("dataset") for run in (before, after)]
    return digests[0] is not None and digests[0] == digests[1]


def changed(name: str, before: Run, after: Run) -> str:
    """How many answers are of another class."""
    one, other = before.answers.get(name), after.answers.get(name)
    if one is None or other is None or len(one.outputs) != len(other.outputs):
        return "–"
    if (one.truth.task, other.truth.task) != ("classification", "classification"):
        return "–"
    return str(int((one.top != other.top).sum()))


def cells(name: str, old: Variant | None, new: Variant | None, test: Metric | None, moved: str) -> list[str]:
    tested = ["–", "–", "–"]
    if test is not None and test.delta is not None:
        tested = [signed(test, test.delta), span(test, test.delta_interval), f"{test.p_holm:.2g}"]
    return [name, judged_by(old), judged_by(new), *tested, moved, size(old), size(new), latency(old), latency(new)]


def signed(test: Metric, value: float) -> str:
    measure = measures.of(test)
    return points(100 * value) if measure.unit == "%" else measure.signed(value)


def span(test: Metric, found: Interval | None) -> str:
    return "–" if found is None else f"{signed(test, found.low)}…{signed(test, found.high)}"


def judged_by(row: Variant | None) -> str:
    if row is None or row.headline is None:
        return "–" if row is None else row.status
    return measures.of(row.headline).bare(row.headline.value)


def size(row: Variant | None) -> str:
    return "–" if row is None or row.size_bytes is None else f"{row.size_bytes / 1000:,.0f}"


def latency(row: Variant | None) -> str:
    return "–" if row is None or row.latency_ms is None else f"{row.latency_ms.p50:.3f}"
