"""What each task asks of a model's outputs, as far as stages must know it: how good they are, and whether they are
broken.

Outputs are those of the output that the task evaluates, (samples, ...) float32, as the model gives them: logits stay
logits. The methods are in shared/numerics.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shared import detection, embeddings, numerics, positions
from shared.data.samples import BALANCED, About, Array
from shared.detection import ClassRanking
from shared.detector_outputs import Detection
from shared.errors import CrossquantError

Doubles = NDArray[np.float64]
SampleScore = Callable[[NDArray[np.int64]], float]
CHANCE_LEVEL = 0.01  # of the tests that an accuracy is above chance, or below it
POWER = 0.9  # the least probability of that test to notice a model that is right half of the time beyond chance
HALF = 0.5  # from which on a value of a mask belongs to it
MAP_AXES = 3  # of a map at least: samples, height, width or classes
NEAR = 0.05  # of the reference's standard deviation: closer values agree


@dataclass(frozen=True)
class Score:
    """How stages score outputs: `compute` takes them with what they are compared with, `name` is for a sentence.

    Higher is better, 1 is perfect. `against` says what the outputs are compared with.
    """

    name: str
    compute: Callable[[Array, Array], float]
    against: Literal["labels", "inputs"] = "labels"


def score_outputs(about: About, outputs: Array, labels: Array | None, reference: Array | None) -> float:
    """Return the task's score, by SCORES: higher is better, 1 is perfect.

    `reference` are the model's inputs, of a reconstruction, or else the float model's outputs: without labels the score
    is how far the outputs agree with them. CrossquantError where shapes don't match.
    """
    score = find_score(about, labels)
    if score is None:
        assert reference is not None
        return float(measure_agreement(about, outputs, reference).mean())
    truth = reference if score.against == "inputs" else labels
    assert truth is not None
    if about.detection is not None:
        return detection.compute_map(rank_boxes(about.detection, about, outputs, truth, reference))
    return score.compute(outputs, truth)


def prepare_score(about: About, outputs: Array, labels: Array | None, reference: Array | None) -> SampleScore:
    """Return `score_outputs` as a function of samples, which are given by their indices, (samples,), and may repeat."""
    if about.detection is None or labels is None:

        def select(array: Array | None, where: NDArray[np.int64]) -> Array | None:
            return None if array is None else array[where]

        return lambda where: score_outputs(about, outputs[where], select(labels, where), select(reference, where))

    rankings, count = rank_boxes(about.detection, about, outputs, labels, reference), len(outputs)
    return lambda where: detection.compute_map(rankings, np.bincount(where, minlength=count).astype(np.float64))


def rank_boxes(
    options: Detection, about: About, outputs: Array, labels: Array, reference: Array | None
) -> list[ClassRanking]:
    """Return the detections of each class, ranked and compared with the labels."""
    return detection.rank_joined(options, outputs, labels, reference, len(about.classes))


def find_score(about: About, labels: Array | None) -> Score | None:
    """Return the score of the task; None where the outputs can only be compared with the float model's."""
    score = SCORES.get(about.task)
    if score is None or score.against == "inputs":
        return score
    if labels is None:
        return None
    if about.task == "classification" and about.class_weights:
        return Score("weighted accuracy", partial(compute_weighted_accuracy, about))
    return (
        Score("rank correlation", score.compute)
        if about.task == "embedding" and embeddings.has_pairs(labels)
        else score
    )


def describe_score(about: About, labels: Array | None) -> str:
    """Return the name of what `score_outputs` gives, for a sentence."""
    score = find_score(about, labels)
    return "agreement" if score is None else score.name


def compute_accuracy(outputs: Array, labels: Array) -> float:
    """Return the share of the samples whose most probable class is the label, 0 to 1."""
    return float((numerics.top_classes(outputs) == labels).mean())


def compute_weighted_accuracy(about: About, outputs: Array, labels: Array) -> float:
    """Return the accuracy in which each sample counts as its class does, 0 to 1; that of all alike without weights."""
    if not about.class_weights:
        return compute_accuracy(outputs, labels)
    weights = weigh_samples(about, labels)
    right = numerics.top_classes(outputs) == labels
    return float(weights @ right / weights.sum()) if weights.any() else 0.0


def weigh_samples(about: About, labels: Array) -> Doubles:
    """Return what each sample counts, (samples,): the weight of its class, or where all classes count the same, 1
    divided by the number of samples of its class.
    """
    numbers = labels.ravel().astype(np.int64)
    if about.class_weights == BALANCED:
        return np.asarray(1 / np.bincount(numbers)[numbers])
    return np.array(about.class_weights, np.float64)[numbers]


def find_defect(outputs: Array, accuracy: float | None = None) -> str:
    """Return why these outputs are broken, "" where they are not.

    `accuracy` is that of a classification with labels, 0 to 1. Of all else it is only known whether the answers differ.
    """
    if accuracy is not None:
        return describe_chance(accuracy, count_classes(outputs), len(outputs))
    if len(outputs) > 1 and all((block == outputs[:1]).all() for block in numerics.iterate_blocks(outputs)):
        return "the same answer to every sample"
    return ""


def describe_chance(accuracy: float, classes: int, samples: int) -> str:
    """Say that an accuracy, 0 to 1, is that of guessing or far below it; "" where it isn't, or samples are too few."""
    score = f"{accuracy:.2%} with {classes} classes"
    if is_below_chance(accuracy, classes, samples):
        return f"answers worse than chance: {score}: are labels or inputs in another order than the model's?"
    return f"answers no better than chance: {score}" if is_at_chance(accuracy, classes, samples) else ""


def is_at_chance(accuracy: float, classes: int, samples: int) -> bool:
    """Return whether the accuracy, 0 to 1, is that of guessing one of `classes`, by the exact binomial test.

    It isn't where the samples are so few that a model which is right half of the time beyond chance might look so.
    """
    chance = 1 / classes
    least = int(np.argmax(numerics.binomial_tail(samples, chance) <= CHANCE_LEVEL))  # 0 where no number is above chance
    power = numerics.binomial_tail(samples, (1 + chance) / 2)[least] if least else 0.0
    return bool(power >= POWER and round(accuracy * samples) < least)


def is_below_chance(accuracy: float, classes: int, samples: int) -> bool:
    """Return whether the accuracy, 0 to 1, is significantly below that of guessing, by the exact binomial test."""
    above = numerics.binomial_tail(samples, 1 / classes)[min(samples, round(accuracy * samples) + 1)]
    return round(accuracy * samples) < samples and bool(1 - above < CHANCE_LEVEL)


def count_classes(outputs: Array) -> int:
    """Return how many classes a classifier's outputs are of: a single value is of two."""
    return max(2, numerics.count_values(outputs))


def flag_positives(outputs: Array, labels: Array) -> NDArray[np.bool_]:
    """Return which labels of a multi-label task are positive, (samples, labels)."""
    return np.asarray(match_labels(outputs, labels) > 0)


def match_labels(outputs: Array, labels: Array) -> Array:
    """Return the labels as (samples, values). CrossquantError where they don't have the shape of the outputs."""
    rows = numerics.flatten_samples(labels)
    if rows.shape != numerics.flatten_samples(outputs).shape:
        raise CrossquantError(
            f"labels of {labels.shape} and outputs of {outputs.shape}: a sample must have as many labels as the output "
            "that is evaluated has values; `evaluated_output` in the data's about.json names another"
        )
    return rows


def match_inputs(outputs: Array, inputs: Array) -> Array:
    """Return what a reconstruction's outputs should be. CrossquantError where the inputs are of another size."""
    if len(outputs) != len(inputs) or numerics.count_values(outputs) != numerics.count_values(inputs):
        raise CrossquantError(
            f"inputs of {inputs.shape} and outputs of {outputs.shape}: to reconstruct is to give what was taken"
        )
    return inputs.reshape(outputs.shape)


def measure_agreement(about: About, outputs: Array, reference: Array) -> Doubles:
    """Return how far each sample's outputs agree with the reference's: (samples,), 0 to 1.

    Of classes 1 where the top one is the same; of maps of classes, (samples, …, classes) or (samples, classes, …), and
    of masks, the share of the positions with the same class. Else the share of the values that are no further from the
    reference's than a twentieth of the standard deviation of all of these.
    """
    if reference.ndim == 2 and is_compared_by_class(about, reference):
        return np.asarray(numerics.top_classes(outputs) == numerics.top_classes(reference)).astype(np.float64)
    same = choose_comparison(about, reference)
    pairs = zip(numerics.iterate_blocks(outputs), numerics.iterate_blocks(reference), strict=True)
    return np.concatenate([numerics.flatten_samples(same(one, other)).mean(axis=1) for one, other in pairs])


def choose_comparison(about: About, reference: Array) -> Callable[[Array, Array], Array]:
    """Return the function that says for outputs and reference, (samples, …), where they agree."""
    axis = find_class_axis(about, reference)
    if axis is not None:
        return lambda one, other: one.argmax(axis=axis) == other.argmax(axis=axis)
    if is_mask(reference):
        return lambda one, other: (one > HALF) == (other > HALF)
    near = NEAR * numerics.standard_deviation(reference)
    return lambda one, other: np.abs(one - other) <= near


def find_class_axis(about: About, reference: Array) -> int | None:
    """Return the axis of the classes of a map, where the reference's values along it sum to 1 at every position.

    It is the last axis as well where the data names as many classes as it is long.
    """
    if reference.ndim < MAP_AXES:
        return None
    if len(about.classes) == reference.shape[-1] > 1:
        return -1
    return next((axis for axis in (-1, 1) if reference.shape[axis] > 1 and sums_to_one(reference, axis)), None)


def is_mask(reference: Array) -> bool:
    """Return whether these are maps, (samples, height, width) with or without an axis of one value, of 0 to 1."""
    rank = reference.ndim - (reference.shape[-1] == 1)
    return rank >= MAP_AXES and not numerics.are_logits(reference)


def sums_to_one(reference: Array, axis: int) -> bool:
    """Return whether all values are probabilities, whose sum along this axis is 1 everywhere."""
    slack = numerics.PROBABILITY_SLACK
    sums = (np.abs(block.sum(axis=axis) - 1).max() <= slack for block in numerics.iterate_blocks(reference))
    return not numerics.are_logits(reference) and all(sums)


def is_compared_by_class(about: About, reference: Array) -> bool:
    """Return whether the outputs are of classes: they have names, or every row is of probabilities that sum to 1."""
    if about.task == "classification":
        return True
    if reference.ndim != 2 or reference.shape[1] < 2 or about.task != "fidelity":
        return False
    return len(about.classes) == reference.shape[1] or sums_to_one(reference, 1)


def score_labels(outputs: Array, labels: Array) -> float:
    """Return the mean average precision of a multi-label task."""
    return numerics.mean_average_precision(numerics.flatten_samples(outputs), flag_positives(outputs, labels))


def score_values(outputs: Array, labels: Array) -> float:
    """Return R² of the values of all samples."""
    return numerics.r_squared(numerics.flatten_samples(outputs), match_labels(outputs, labels))


def score_reconstruction(outputs: Array, inputs: Array) -> float:
    """Return 1 less the mean squared error over the variance of the inputs."""
    return numerics.explained_variance(outputs, match_inputs(outputs, inputs))


def score_masks(outputs: Array, labels: Array) -> float:
    """Return the mean intersection over union of the classes."""
    return score_positions(outputs, labels, positions.intersection_over_union)


def score_tags(outputs: Array, labels: Array) -> float:
    """Return the share of the tokens with the right tag."""
    counts = positions.count_positions(outputs, labels)
    return float(counts.right.sum() / max(counts.labelled.sum(), 1))


def score_boxes(outputs: Array, labels: Array) -> float:
    """Return COCO's mean average precision of boxes that are corners, and of probabilities of classes."""
    return detection.compute_map(detection.rank_joined(Detection(), outputs, labels))


def score_positions(outputs: Array, labels: Array, by_class: Callable[[Doubles, Doubles, Doubles], Doubles]) -> float:
    """Return the mean over the classes of what `by_class` makes of the counts of all positions."""
    return float(positions.mean_over_classes(positions.count_positions(outputs, labels).apply(by_class)))


# The score of each task; of any other, and without labels, it is the agreement with the float model's outputs.
SCORES = {
    "classification": Score("accuracy", compute_accuracy),
    "multilabel": Score("mAP", score_labels),
    "regression": Score("R²", score_values),
    "forecasting": Score("R²", score_values),
    "segmentation": Score("mean IoU", score_masks),
    "tagging": Score("token accuracy", score_tags),
    "detection": Score("COCO mAP", score_boxes),
    "embedding": Score("recall@1", embeddings.score),
    "reconstruction": Score("explained variance", score_reconstruction, "inputs"),
}
