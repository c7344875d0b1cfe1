"""Two runs of one experiment side by side: other pins, another machine, another model file."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from driver.analysis import stage_outputs
from driver.analysis.evaluation import Answer, Truth, compute_headline, find_misfit, make_answer
from driver.analysis.results import Comparison, Metric
from driver.analysis.stage_outputs import Unusable, select_evaluated_output
from driver.comparison import publication, schema1
from driver.experiment.task_specs import TASKS, UNLABELLED
from shared.artifacts import store
from shared.command import format_command
from shared.data import samples
from shared.data.samples import About, Array, Batch
from shared.errors import CrossquantError
from shared.measure import predictions


@dataclass(frozen=True)
class Run:
    """A run: its comparison and the answers of every variant."""

    name: str
    comparison: Comparison
    truth: Truth
    outputs: dict[str, Batch]  # what the task evaluates, in the parts that the model gives it in

    @cached_property
    def answers(self) -> dict[str, Answer]:
        return {name: make_answer(self.truth, parts) for name, parts in self.outputs.items()}


def load(name: str) -> Run:
    """The run in a folder, or in that folder below volumes/. CrossquantError where there is none, or it is damaged.

    Only what the comparison was made from is read, and only if it is still that. A comparison of schema 1 is read too.
    """
    for folder in list_folders(name):
        comparison = publication.read_comparison(folder / publication.NAME, earlier=True)
        if comparison is not None:
            return read_run(name, folder, comparison)
    raise CrossquantError(f"'{name}' is no run: give the folder of an experiment that has a comparison/comparison.json")


def list_folders(name: str) -> tuple[Path, Path]:
    """Where the run of this name may be; the first that has a comparison is it."""
    return Path(name), store.volumes() / name


def read_run(name: str, folder: Path, comparison: Comparison) -> Run:
    dataset = find_artifact(folder, "keras", "dataset", comparison)
    if dataset is None:
        command = format_command("run", folder.name)
        raise CrossquantError(f"'{name}' was compared without test samples: make them by `{command}` first")
    about = schema1.read_about(dataset)
    about = replace(about, task=UNLABELLED, detection=None) if comparison.task == UNLABELLED else about
    labelled = find_artifact(folder, "keras", "labels", comparison) or dataset  # earlier versions kept them there
    for artifact in (dataset, labelled):
        check_samples(artifact)
    inputs, labels = samples.inputs(dataset)[0], samples.labels(labelled)
    outputs = read_outputs(folder, comparison, about, samples.count(dataset))
    reference = outputs.get(comparison.reference)
    truth = Truth(
        about,
        labels,
        samples.mapped(inputs) if TASKS[about.task].evaluated_against == "inputs" else None,
        None if reference is None else reference[-1],
    )
    fitting = {name: answered for name, answered in outputs.items() if not find_misfit(truth, answered)}
    return Run(name, comparison, truth, fitting)


def check_samples(artifact: Path) -> None:
    """CrossquantError where its arrays are no samples."""
    try:
        stage_outputs.check_samples(artifact, {path.name for path in artifact.iterdir()})
    except Unusable as error:
        raise CrossquantError(f"{artifact} can't be read: {error}: run that experiment again") from None


def read_outputs(folder: Path, comparison: Comparison, about: About, count: int) -> dict[str, Batch]:
    """The evaluated output of each variant in its parts, by the variant's name."""
    outputs = {}
    for row in comparison.variants:
        path = find_artifact(folder, row.image, f"predictions.{row.name}", comparison)
        files = predictions.outputs(path) if path else ()
        whole = about.detection is not None  # of which it is in two outputs
        needed = [file for number, file in enumerate(files) if whole or number == about.evaluated_output]
        answers = [answer for file in needed if (answer := read_output(file, count)) is not None]
        if not needed or len(answers) < len(needed):
            continue
        parts = select_evaluated_output(tuple(answers), about) if whole else tuple(answers)
        if parts is not None:
            outputs[row.name] = parts
    return outputs


def read_output(file: Path, count: int) -> Array | None:
    """The answers in `file` to `count` samples; None where they are none: their row says so."""
    try:
        outputs = stage_outputs.map_array(file)
        stage_outputs.check_answer(file.name, outputs, count)
    except Unusable:
        return None
    return outputs


def find_artifact(folder: Path, image: str, artifact: str, comparison: Comparison) -> Path | None:
    """Where the artifact is that was compared, its files hashed again; None where the comparison had none."""
    wanted = (comparison.digests or {}).get(artifact)
    if wanted is None:
        return None
    path = folder / image / artifact
    manifest = store.read_verified_manifest(path, artifact)
    if manifest is None or store.digest(manifest) != wanted:
        problem = "is missing" if manifest is None else "was made anew"
        raise CrossquantError(
            f"{path} {problem} since it was compared: "
            f"make the comparison anew with `{format_command('report', folder.name)}`"
        )
    return path


def compare_headlines(before: Run, after: Run) -> dict[str, Metric]:
    """Paired, where both runs answered the same samples, by the task's test, of each variant alone."""
    if not same_samples(before, after):
        return {}
    both = [name for name in before.outputs if name in after.outputs]
    return {name: compute_headline(after.answers[name], before.answers[name]) for name in both}


def same_samples(before: Run, after: Run) -> bool:
    """Can the runs be compared sample by sample: the same task, labels to evaluate by, and the same data?"""
    one, other = before.truth, after.truth
    return (one.task, one.can_evaluate, other.can_evaluate) == (other.task, True, True) and same_data(before, after)


def same_data(before: Run, after: Run) -> bool:
    """Are the test samples the same? By their labels; where there are none, by the digest of the data set."""
    one, other = before.truth, after.truth
    if one.labels is not None and other.labels is not None:
        return np.array_equal(one.labels, other.labels)
    digests = [(run.comparison.digests or {}).get("dataset") for run in (before, after)]
    return digests[0] is not None and digests[0] == digests[1]


def count_changed(name: str, before: Run, after: Run) -> int | None:
    """How many answers are of another class; None where the two can't be compared."""
    one, other = before.answers.get(name), after.answers.get(name)
    if one is None or other is None or len(one.outputs) != len(other.outputs):
        return None
    if not (one.truth.spec.has_classes and other.truth.spec.has_classes):
        return None
    return int((one.top != other.top).sum())
