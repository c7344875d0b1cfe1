"""Evaluation by task: what each variant's outputs are compared with, and the metrics that follow.

A metric that is a share of right answers has Wilson's interval, and against a reference Newcombe's with McNemar's test
(driver/analysis/statistics.py). All others have those of the paired bootstrap (driver/analysis/bootstrap.py). Which
metrics a task has is in driver/analysis/tasks/.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from driver.analysis import bootstrap, metric_specs, output_drift, statistics, weighted_statistics
from driver.analysis.artifacts import Evidence
from driver.analysis.bootstrap import Doubles, Groups, WeightedMetric
from driver.analysis.output_drift import ClassOutputs, Outputs
from driver.analysis.results import Breakdown, Drift, Interval, Metric, OutputDrift, OutputMetrics, Paired
from driver.analysis.stage_outputs import select_evaluated_output
from driver.analysis.tasks import TASK_METRICS
from driver.analysis.tasks.base import Computation, Flags, Indices
from driver.analysis.tasks.classification import read_class_labels
from driver.experiment.task_specs import TASKS, UNLABELLED, TaskSpec
from shared import numerics, positions, tasks
from shared.data import samples
from shared.data.samples import About, Array, Batch, LabelledOutput
from shared.errors import CrossquantError
from shared.positions import PositionCounts

PERCENT = 100


@dataclass(frozen=True)
class Truth:
    """What answers to one set of samples are evaluated by.

    `inputs` are the model's first ones, mapped; `reference` has the outputs of the variant that the others are compared
    with. `logits`: are the outputs logits? The reference tells, where it has answers. `groups` has the number of each
    sample's group, where samples that belong together are not independent.
    """

    about: About
    labels: Array | None
    inputs: Array | None = None
    reference: Array | None = None
    groups: Groups | None = None

    @cached_property
    def logits(self) -> bool | None:
        return None if self.reference is None else numerics.are_logits(self.reference)

    @property
    def task(self) -> str:
        return self.about.task

    @property
    def spec(self) -> TaskSpec:
        return TASKS[self.task]

    @property
    def can_evaluate(self) -> bool:
        """Is there anything to evaluate answers by?"""
        return getattr(self, self.spec.evaluated_against) is not None

    @cached_property
    def counted(self) -> Indices | None:
        """The samples that a share of right answers counts, None where it counts all."""
        return None if self.labels is None else TASK_METRICS[self.task].find_counted(self.labels)

    @cached_property
    def weights(self) -> Doubles | None:
        """What each sample counts in a weighted share of right answers, (samples,); None where all count the same."""
        weighted = self.labels is not None and bool(self.about.class_weights)
        return tasks.weigh_samples(self.about, self.labels) if weighted and self.labels is not None else None

    @property
    def counted_groups(self) -> Groups | None:
        """The groups of these samples, numbered from 0."""
        if self.groups is None or self.counted is None:
            return self.groups
        return np.unique(self.groups[self.counted], return_inverse=True)[1]

    def restrict(self, indices: NDArray[np.int64]) -> "Truth":
        """To the samples of these indices."""

        def select(array: Array | None) -> Array | None:
            return None if array is None else array[indices]

        groups = None if self.groups is None else np.unique(self.groups[indices], return_inverse=True)[1]
        labels, inputs, reference = map(select, (self.labels, self.inputs, self.reference))
        return replace(self, labels=labels, inputs=inputs, reference=reference, groups=groups)


@dataclass(frozen=True, eq=False)
class Answer:
    """The evaluated output of one variant, (samples, …), mapped. What is computed from it is computed once.

    Of a detection `outputs` are the scores, (samples, candidates, scores), and `boxes` the raw boxes, (samples,
    candidates, 4). So is what follows from it and another variant's: two answers are equal if they are the same object.
    """

    truth: Truth
    outputs: Array
    boxes: Array | None = None

    def restrict(self, indices: NDArray[np.int64], truth: Truth) -> "Answer":
        """To the samples of these indices, which `truth` is of."""
        return Answer(truth, self.outputs[indices], None if self.boxes is None else self.boxes[indices])

    @property
    def about(self) -> About:
        return self.truth.about

    @property
    def labels(self) -> Array | None:
        return self.truth.labels

    @property
    def inputs(self) -> Array | None:
        return self.truth.inputs

    @property
    def reference(self) -> Array | None:
        return self.truth.reference

    @property
    def logits(self) -> bool | None:
        return self.truth.logits

    @cached_property
    def _plain_outputs(self) -> Outputs:
        return Outputs(self.outputs)

    @cached_property
    def _class_outputs(self) -> dict[bool, ClassOutputs]:
        return {}

    def read_as(self, logits: bool) -> ClassOutputs:
        """The outputs of a classification, taken for logits or for probabilities."""
        if logits not in self._class_outputs:
            self._class_outputs[logits] = ClassOutputs(self.outputs, logits)
        return self._class_outputs[logits]

    def compute_probabilities(self, indices: NDArray[np.int64]) -> Array:
        """Of a classification, (samples, classes): of the samples of these indices."""
        return numerics.class_probabilities(self.outputs[indices], self._are_logits)

    @property
    def likeliest(self) -> NDArray[np.int64]:
        """(samples,): the class of the highest probability. It is `top`, but where a softmax rounds two to the same."""
        return self.read_as(self._are_logits).rows.likeliest

    @property
    def confidence(self) -> Array:
        """(samples,): the highest probability."""
        return self.read_as(self._are_logits).rows.confidence

    @cached_property
    def gives_logits(self) -> bool:
        """Are these outputs logits, by themselves?"""
        return numerics.are_logits(self.outputs)

    @property
    def _are_logits(self) -> bool:
        return self.gives_logits if self.truth.logits is None else self.truth.logits

    @cached_property
    def classes(self) -> NDArray[np.intp]:
        """The labels of a classification, (samples,). CrossquantError where one is none of the model's classes."""
        assert self.truth.labels is not None  # a classification without labels is another task: `load_truth`
        return read_class_labels(self.outputs, self.truth.labels)

    @cached_property
    def top(self) -> NDArray[np.int64]:
        """(samples,): the class that is answered."""
        return numerics.top_classes(self.outputs, self.truth.logits)

    @cached_property
    def right(self) -> Flags:
        return np.asarray(self.top == self.classes)

    @cached_property
    def position_counts(self) -> PositionCounts:
        """Of a task with labels per position."""
        assert self.truth.labels is not None  # a task without labels is another one: `load_truth`
        return positions.count_positions(self.outputs, self.truth.labels, self.truth.logits)

    @cached_property
    def computations(self) -> dict[str, Computation]:
        """Of each metric of the task, the headline first."""
        return TASK_METRICS[self.truth.task].compute(self)

    @cached_property
    def _pairs(self) -> dict[tuple["Answer", str], Paired]:
        return {}

    def pair_with(self, base: "Answer", name: str = "") -> Paired:
        """Compare the right answers with those of `base`, by a metric that is a share of right answers.

        `name` is that metric's, "" for the first one. Both have answers to the same samples.
        """
        name = name or next(key for key, each in self.computations.items() if isinstance(each, np.ndarray))
        if (base, name) not in self._pairs:
            own, other = self.computations[name], base.computations[name]
            assert isinstance(own, np.ndarray)
            assert isinstance(other, np.ndarray)
            self._pairs[base, name] = statistics.pair_answers(other, own)
        return self._pairs[base, name]

    @cached_property
    def _drifts(self) -> dict["Answer", Drift]:
        return {}

    def drift_from(self, base: "Answer") -> Drift:
        """How far the outputs are from those of `base`. ValueError where they are of other samples or another shape."""
        if base not in self._drifts:
            self._drifts[base] = self._compute_drift(base)
        return self._drifts[base]

    def _compute_drift(self, base: "Answer") -> Drift:
        if self.truth.spec.has_classes:
            logits = base.gives_logits
            return output_drift.compute_class_drift(base.read_as(logits), self.read_as(logits))
        return output_drift.compute_value_drift(base._plain_outputs, self._plain_outputs)

    @cached_property
    def weighted_metrics(self) -> dict[str, WeightedMetric]:
        """The metrics that are resampled."""
        return {name: each for name, each in self.computations.items() if not isinstance(each, np.ndarray)}

    @cached_property
    def values(self) -> dict[str, float]:
        return bootstrap.compute_values(self.weighted_metrics, len(self.outputs))

    @cached_property
    def resampled(self) -> dict[str, Doubles]:
        return bootstrap.resample(self.weighted_metrics, len(self.outputs), self.truth.groups)

    @cached_property
    def breakdowns(self) -> tuple[Breakdown, ...]:
        """What metrics are of each class or step."""
        return TASK_METRICS[self.truth.task].break_down(self)

    @cached_property
    def _resampled_shares(self) -> dict[str, Doubles]:
        return {}

    def replicate(self, name: str) -> Doubles | None:
        """The resampled values of a metric, also of a share of right answers; None where the task has none of it."""
        computation = self.computations.get(name)
        if not isinstance(computation, np.ndarray):
            return None if computation is None else self.resampled[name]
        if name not in self._resampled_shares:
            samples, counted = len(self.outputs), self.truth.counted
            right, is_counted = np.zeros(samples), np.zeros(samples)
            right[slice(None) if counted is None else counted] = computation
            is_counted[slice(None) if counted is None else counted] = 1
            share = {name: weighted_statistics.ratio(right, is_counted)}
            self._resampled_shares.update(bootstrap.resample(share, samples, self.truth.groups))
        return self._resampled_shares[name]

    @property
    def headline(self) -> str:
        """The name of the metric that decides."""
        return next(iter(self.computations))

    @property
    def value(self) -> float:
        """The headline metric without its interval."""
        computation = self.computations[self.headline]
        if isinstance(computation, np.ndarray):
            return float(computation.mean())
        return bootstrap.compute_values({self.headline: computation}, len(self.outputs))[self.headline]


class Evaluation:
    """The answers of an experiment's variants to its sets of samples, each read and evaluated once.

    `reference` names the variant that the others are compared with. `misfits` says of variants whose outputs can't be
    evaluated why not.
    """

    def __init__(self, evidence: Evidence, reference: str) -> None:
        self.evidence, self.reference = evidence, reference
        self.misfits: dict[str, str] = {}
        self._truths: dict[str, Truth | None] = {}
        self._answers: dict[str, Answer | None] = {}
        self._further: dict[int, Answer | None] = {}
        self._reference_outputs: tuple[Outputs, ...] | None = None

    def truth(self, artifact: str = "dataset") -> Truth | None:
        """What answers to the samples in `artifact` are evaluated by; None where the samples are not there.

        The reference answers the test samples alone.
        """
        if artifact not in self._truths:
            reference = self.reference if artifact == "dataset" else ""
            self._truths[artifact] = load_truth(self.evidence, reference, artifact)
        return self._truths[artifact]

    def answer(self, variant: str) -> Answer | None:
        """The variant's answers to the samples that its predictions were made of; None where none can be evaluated."""
        if variant not in self._answers:
            self._answers[variant] = self._evaluate(variant)
        return self._answers[variant]

    def evaluated_answer(self, variant: str) -> Answer | None:
        """The same, None also where there is nothing to evaluate them by."""
        answer = self.answer(variant)
        return answer if answer is not None and answer.truth.can_evaluate else None

    def further_answers(self, variant: str) -> list[tuple[LabelledOutput, Answer, Answer]]:
        """For each other output that has labels: the variant's answers to the test samples, and the reference's.

        An output that doesn't fit its labels is left out: `check_fits` refuses it where the model is loaded.
        """
        truth, own = self.truth(), self.evidence.outputs(variant)
        if truth is None or own is None or self.answer(variant) is None:
            return []
        answers = []
        for further in truth.about.further_outputs:
            base = self._answer_further_output(truth, further)
            parts = None if base is None else select_evaluated_output(own, base.about)
            if base is not None and parts is not None and not find_misfit(base.truth, parts):
                answers.append((further, make_answer(base.truth, parts), base))
        return answers

    def _answer_further_output(self, truth: Truth, further: LabelledOutput) -> Answer | None:
        """The reference's answers at another output; None where they aren't there, or don't fit the labels."""
        if further.output not in self._further:
            about, labels = samples.describe_output(truth.about, further), self.evidence.labels(output=further.output)
            outputs, judged = self.evidence.outputs(self.reference), Truth(about, labels, groups=truth.groups)
            parts = None if outputs is None else select_evaluated_output(outputs, about)
            fits = labels is not None and parts is not None and not find_misfit(judged, parts)
            if fits and parts is not None:
                self._further[further.output] = make_answer(replace(judged, reference=parts[-1]), parts)
            else:
                self._further[further.output] = None
        return self._further[further.output]

    def replicate(self, variant: str, gate: str) -> Doubles | None:
        """The resampled values of what a gate is on: a metric, or the loss of the headline metric against the reference
        (`drop_pp`, `worse_percent`), in its own unit. None for what isn't resampled.
        """
        own = self.evaluated_answer(variant)
        return None if own is None else replicate_gate(own, self.evaluated_answer(self.reference), gate)

    def compare_outputs(self, variant: str) -> tuple[OutputDrift, ...]:
        """The drift of every output from the reference's, of a model that has several."""
        if self._reference_outputs is None:
            self._reference_outputs = tuple(map(Outputs, self.evidence.outputs(self.reference) or ()))
        own = tuple(map(Outputs, self.evidence.outputs(variant) or ()))
        return output_drift.compare_all_outputs(self._reference_outputs, own)

    def _evaluate(self, variant: str) -> Answer | None:
        artifact = self.evidence.plan.step(f"predictions.{variant}").inputs[1]
        truth, outputs = self.truth(artifact), self.evidence.outputs(variant)
        if truth is None or outputs is None:
            return None
        parts = select_evaluated_output(outputs, truth.about)
        if reason := find_misfit(truth, parts):
            self.misfits[variant] = reason
        return None if reason or parts is None else make_answer(truth, parts)


def load_truth(evidence: Evidence, reference: str = "", artifact: str = "dataset") -> Truth | None:
    """Of the samples in `artifact`, answered by the variant `reference`; None where they are not there."""
    folder = evidence.path(artifact)
    if folder is None:
        return None
    about, labels = samples.about(folder), evidence.labels(artifact)
    if labels is None and (about.labels is not None or evidence.problem(evidence.labelled_by(artifact))):
        return None  # they are missing, out of date or unusable: another task's metrics would be shown instead
    outputs = evidence.outputs(reference) if reference else None
    if labels is None and TASKS[about.task].evaluated_against == "labels":
        about = replace(about, task=UNLABELLED, detection=None)
    inputs = samples.mapped(samples.inputs(folder)[0]) if TASKS[about.task].evaluated_against == "inputs" else None
    groups = evidence.groups(artifact)
    alone = Truth(about, labels, inputs, groups=None if groups is None else np.unique(groups, return_inverse=True)[1])
    answered = None if outputs is None else select_evaluated_output(outputs, about)
    return alone if answered is None or find_misfit(alone, answered) else replace(alone, reference=answered[-1])


def make_answer(truth: Truth, parts: Batch) -> Answer:
    """Of the parts of the evaluated output: of a detection boxes and scores."""
    return Answer(truth, parts[-1], parts[0] if len(parts) > 1 else None)


def find_misfit(truth: Truth, parts: Batch | None) -> str:
    """Why the evaluated output of a variant can't be compared with the reference's, or else with the labels."""
    if parts is None:
        return f"its predictions have no output {truth.about.evaluated_output}, which is evaluated"
    outputs = parts[-1]
    if truth.reference is not None:
        same = truth.reference.shape == outputs.shape
        return "" if same else f"it answers {outputs.shape[1:]} a sample, the reference {truth.reference.shape[1:]}"
    try:
        TASK_METRICS[truth.task].check(make_answer(truth, parts))
    except CrossquantError as error:
        return str(error)
    return ""


def replicate_gate(own: Answer, base: Answer | None, gate: str) -> Doubles | None:
    """The resampled values of what a gate is on, as `Evaluation.replicate` has them, of a loss against `base`."""
    if gate not in ("drop_pp", "worse_percent"):
        return own.replicate(gate)
    before, after = None if base is None else base.replicate(own.headline), own.replicate(own.headline)
    if before is None or after is None:
        return None
    sign = 1 if metric_specs.METRIC_SPECS[own.headline].better == "higher" else -1
    return np.asarray(sign * (before - after))


def compute_output_metrics(further: LabelledOutput, own: Answer, base: Answer | None) -> OutputMetrics:
    """The metrics of another output that has labels, against `base`."""
    metrics = compute_metrics(own, base)
    return OutputMetrics(further.output, further.name, further.task, metrics, own.breakdowns, further.classes)


def compute_metrics(answer: Answer, base: Answer | None) -> tuple[Metric, ...]:
    """All metrics of the task, the headline first, each against `base`."""
    baseline = None if answer.truth.spec.evaluated_against == "reference" else base  # it is compared with it already
    return tuple(compute_metric(name, answer, baseline) for name in answer.computations)


def compute_headline(answer: Answer, base: Answer | None = None) -> Metric:
    """The metric that decides about a variant, against `base`."""
    return compute_metric(answer.headline, answer, base)


def compute_metric(name: str, answer: Answer, base: Answer | None) -> Metric:
    computation = answer.computations[name]
    before = None if base is None or len(base.outputs) != len(answer.outputs) else base.computations.get(name)
    if isinstance(computation, np.ndarray):
        pairs = answer.pair_with(base, name) if base is not None and before is not None else None
        return count_metric(name, computation, pairs)
    value, resampled = answer.values[name], answer.resampled[name]
    alone = Metric(
        name,
        value,
        bootstrap.percentile_interval(resampled),
        None,
        None,
        None,
        metric_specs.METRIC_SPECS[name].better,
    )
    if base is None or before is None:
        return alone
    delta, differences = value - base.values[name], resampled - base.resampled[name]
    p_value = bootstrap.compute_p_value(delta, differences)
    return replace(alone, delta=delta, delta_interval=bootstrap.percentile_interval(differences), p_value=p_value)


def count_metric(name: str, right: Flags, pairs: Paired | None) -> Metric:
    """A share of right answers: Wilson's interval, and of the difference Newcombe's and McNemar's test.

    `pairs` compares the same answers with those of the reference.
    """
    interval = statistics.wilson_interval(int(right.sum()), len(right))
    alone = Metric(name, float(right.mean()), interval, None, None, None, metric_specs.METRIC_SPECS[name].better)
    return alone if pairs is None else with_pairs(alone, pairs)


def with_pairs(metric: Metric, pairs: Paired) -> Metric:
    low, high = pairs.interval_pp.low / PERCENT, pairs.interval_pp.high / PERCENT
    return replace(metric, delta=pairs.delta_pp / PERCENT, delta_interval=Interval(low, high), p_value=pairs.p_value)
