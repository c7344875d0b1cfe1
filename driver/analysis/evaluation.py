"""Judgement by task: what each variant's answers are held against, and the figures that come of it.

classification: accuracy with McNemar's test, and top-5. All others have figures that are no counts, with the paired
bootstrap of driver/analysis/bootstrap.py. Without labels there is fidelity to the reference's outputs alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from driver.analysis import bootstrap, metric_specs, statistics, task_metrics
from driver.analysis.artifacts import Evidence
from driver.analysis.bootstrap import Doubles, Figure
from driver.analysis.results import Interval, Metric, Paired
from driver.analysis.stage_outputs import judged
from shared import tasks
from shared.data import samples
from shared.data.samples import About, Array
from shared.errors import CrossquantError

TOP = 5
PERCENT = 100


@dataclass(frozen=True)
class Truth:
    """What answers to one set of samples are judged by.

    `inputs` are the model's first ones, mapped; `reference` has the outputs of the variant that the others are held
    against. `logits`: are the outputs logits? The reference tells, where it has answers.
    """

    about: About
    labels: Array | None
    inputs: Array | None = None
    reference: Array | None = None

    @cached_property
    def logits(self) -> bool | None:
        return None if self.reference is None else tasks.are_logits(self.reference)

    @property
    def task(self) -> str:
        return self.about.task

    @property
    def judges(self) -> bool:
        """Is there anything to judge by?"""
        if self.task == "fidelity":
            return self.reference is not None
        return (self.inputs if self.task == "reconstruction" else self.labels) is not None

    def of(self, indices: NDArray[np.int64]) -> Truth:
        """Of some of the samples."""

        def some(array: Array | None) -> Array | None:
            return None if array is None else array[indices]

        return replace(self, labels=some(self.labels), inputs=some(self.inputs), reference=some(self.reference))


def truth(evidence: Evidence, reference: str = "", artifact: str = "dataset") -> Truth | None:
    """Of the samples in `artifact`, answered by the variant `reference`; None where they are not there."""
    folder = evidence.path(artifact)
    if folder is None:
        return None
    about, labels = samples.about(folder), evidence.labels(artifact)
    if labels is None and (about.labels is not None or evidence.problem(evidence.labelled_by(artifact))):
        return None  # they are missing, out of date or unusable: another task's figures would be shown instead
    known = evidence.outputs(reference) if reference else None
    if labels is None and about.task not in ("reconstruction", "fidelity"):
        about = replace(about, task="fidelity")
    inputs = samples.mapped(samples.inputs(folder)[0]) if about.task == "reconstruction" else None
    alone = Truth(about, labels, inputs)
    base = None if known is None else judged(known, about)
    return alone if misfit(alone, base) else replace(alone, reference=base)


@dataclass(frozen=True)
class Answer:
    """The judged output of one variant, (samples, …), mapped. What is made of it is made once."""

    truth: Truth
    outputs: Array

    @property
    def probabilities(self) -> Array:
        """Of a classification, (n, classes)."""
        return tasks.class_probabilities(self.outputs, self.truth.logits)

    @property
    def labels(self) -> NDArray[np.intp]:
        """Of a classification, (n,). CrossquantError where a label is none of the classes that are answered."""
        found, classes = self.truth.labels, max(2, tasks.width(self.outputs))
        assert found is not None
        if found.size != len(found):
            raise CrossquantError(f"labels of {found.shape}: a sample must have one class; see docs/your-data.md")
        if found.size and not 0 <= found.min() <= found.max() < classes:
            raise CrossquantError(
                f"labels from {found.min()} to {found.max()}, but the model answers {classes} classes: "
                "number the classes from 0, and give the model that was trained on them"
            )
        return found.ravel().astype(np.intp)

    def check(self) -> None:
        """CrossquantError where it is of another form than what it is judged by."""
        truth = self.truth
        if truth.task == "classification" and truth.labels is not None:
            assert self.labels is not None
        elif truth.task == "reconstruction" and truth.inputs is not None:
            tasks.same_shape(self.outputs, truth.inputs)
        elif truth.task in ("multilabel", "regression") and truth.labels is not None:
            tasks.matching(self.outputs, truth.labels)

    @cached_property
    def top(self) -> NDArray[np.int64]:
        """(n,): the class that is answered."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        return np.asarray(self.top == self.labels)

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """All of the task, the headline first."""
        known = (self.truth.labels, self.truth.inputs, self.truth.reference)
        return task_metrics.figures(self.truth.about, self.outputs, known, self.truth.logits)

    @cached_property
    def values(self) -> dict[str, float]:
        return bootstrap.values(self.figures, len(self.outputs))

    @cached_property
    def resampled(self) -> dict[str, Doubles]:
        labels = tasks.width(self.outputs) if self.truth.task == "multilabel" else 1
        return bootstrap.resampled(self.figures, len(self.outputs), labels)

    @property
    def value(self) -> float:
        """The headline alone, without an interval."""
        if self.truth.task == "classification":
            return float(self.right.mean())
        first = next(iter(self.figures))
        return bootstrap.values({first: self.figures[first]}, len(self.outputs))[first]


def answers(evidence: Evidence, truth: Truth | None, variants: Sequence[str]) -> dict[str, Answer]:
    """Of the variants that have answers which can be judged; of none where the samples are not there."""
    return answers_and_misfits(evidence, truth, variants)[0]


def answers_and_misfits(
    evidence: Evidence, truth: Truth | None, variants: Sequence[str]
) -> tuple[dict[str, Answer], dict[str, str]]:
    """The answers of variants, by name; and of those whose answers can't be judged, why."""
    found: dict[str, Answer] = {}
    misfits: dict[str, str] = {}
    if truth is None:
        return found, misfits
    for name in variants:
        outputs = evidence.outputs(name)
        if outputs is None:
            continue
        if reason := misfit(truth, judged(outputs, truth.about)):
            misfits[name] = reason
        else:
            found[name] = Answer(truth, outputs[truth.about.judged])
    return found, misfits


def misfit(truth: Truth, outputs: Array | None) -> str:
    """Why the judged output of a variant can't be held against the reference's, or the labels where there is none."""
    if outputs is None:
        return f"its predictions have no output {truth.about.judged}, which is judged"
    if truth.reference is not None:
        same = truth.reference.shape == outputs.shape
        return "" if same else f"it answers {outputs.shape[1:]} a sample, the reference {truth.reference.shape[1:]}"
    try:
        Answer(truth, outputs).check()
    except CrossquantError as error:
        return str(error)
    return ""


def metrics(own: Answer, base: Answer | None) -> tuple[Metric, ...]:
    """Of the task, the headline first; of classification what goes beyond accuracy."""
    if own.truth.task == "classification":
        return top_five(own, base)
    held = None if own.truth.task == "fidelity" else base  # which is held against the reference's outputs already
    return tuple(metric(name, own, held) for name in own.figures)


def headline(own: Answer, base: Answer | None = None) -> Metric:
    """What a variant is judged by, against `base`."""
    if own.truth.task == "classification":
        return counted("accuracy", own.right, None if base is None else base.right)
    return metric(next(iter(own.figures)), own, base)


def metric(name: str, own: Answer, base: Answer | None) -> Metric:
    value, found = own.values[name], own.resampled[name]
    known = Metric(name, value, bootstrap.interval(found), None, None, None, None, metric_specs.MEASURES[name].better)
    if base is None or name not in base.figures or len(base.outputs) != len(own.outputs):
        return known
    delta, differences = value - base.values[name], found - base.resampled[name]
    p_value = bootstrap.p_value(delta, differences)
    return replace(known, delta=delta, delta_interval=bootstrap.interval(differences), p_value=p_value)


def counted(name: str, right: NDArray[np.bool_], base: NDArray[np.bool_] | None) -> Metric:
    """A share of right answers: Wilson's interval, and of the difference Newcombe's and McNemar's test."""
    span = statistics.wilson(int(right.sum()), len(right))
    known = Metric(name, float(right.mean()), span, None, None, None, None, "higher")
    return known if base is None or len(base) != len(right) else with_pairs(known, statistics.paired(base, right))


def with_pairs(known: Metric, pairs: Paired) -> Metric:
    low, high = pairs.interval_pp.low / PERCENT, pairs.interval_pp.high / PERCENT
    return replace(known, delta=pairs.delta_pp / PERCENT, delta_interval=Interval(low, high), p_value=pairs.p_value)


def top_five(own: Answer, base: Answer | None) -> tuple[Metric, ...]:
    """Where there are more than five classes."""
    if tasks.width(own.outputs) <= TOP:
        return ()
    return (counted("top5", among_the_first(own), None if base is None else among_the_first(base)),)


def among_the_first(answer: Answer, most: int = TOP) -> NDArray[np.bool_]:
    """(n,): are fewer than `most` classes better than the label's? Of equal classes the first one comes first."""
    found, labels = tasks.rows(answer.outputs), answer.labels
    own = np.take_along_axis(found, labels[:, None], axis=1)
    before = np.arange(found.shape[1]) < labels[:, None]
    return np.asarray(((found > own) | ((found == own) & before)).sum(axis=1) < most)


def corrected(family: Mapping[str, tuple[Metric, ...]]) -> dict[str, tuple[Metric, ...]]:
    """Holm's correction of each figure over the variants, which are many tests of it."""
    found = dict(family)
    for name in dict.fromkeys(each.name for of_one in family.values() for each in of_one if each.p_value is not None):
        tested = {row: each for row, of_one in family.items() for each in of_one if each.name == name}
        p_values = statistics.holm_p_values([each.p_value or 0.0 for each in tested.values()])
        for (row, each), p in zip(tested.items(), p_values, strict=True):
            found[row] = tuple(replace(each, p_holm=p) if one is each else one for one in found[row])
    return found
