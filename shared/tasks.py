"""What each task asks of a model's outputs, as far as stages must know it: how good they are, and whether they are
broken.

Outputs are those of the output that the task evaluates, (samples, ...) float32, as the model gives them: logits stay
logits. The methods are in shared/numerics.py.
"""

import numpy as np
from numpy.typing import NDArray

from shared import numerics
from shared.data.samples import About, Array
from shared.errors import CrossquantError

Doubles = NDArray[np.float64]
SCORES = {"classification": "accuracy", "multilabel": "mAP", "regression": "R²", "reconstruction": "explained variance"}
NEAR = 0.05  # of the reference's standard deviation: closer values agree


def score_outputs(about: About, outputs: Array, labels: Array | None, reference: Array | None) -> float:
    """Return the task's score: higher is better, 1 is perfect.

    classification: accuracy; multilabel: mean average precision; regression: R²; reconstruction: 1 less the mean
    squared error over the variance of the input, which `reference` is; fidelity, and wherever there are no labels:
    the agreement with the float model's outputs, which `reference` is. CrossquantError where shapes don't match.
    """
    if about.task == "reconstruction":
        assert reference is not None
        return numerics.explained_variance(outputs, match_inputs(outputs, reference))
    if labels is None or about.task == "fidelity":
        assert reference is not None
        return float(measure_agreement(about, outputs, reference).mean())
    if about.task == "multilabel":
        return numerics.mean_average_precision(numerics.flatten_samples(outputs), flag_positives(outputs, labels))
    if about.task == "regression":
        return numerics.r_squared(numerics.flatten_samples(outputs), match_labels(outputs, labels))
    return compute_accuracy(outputs, labels)


def describe_score(about: About, labels: Array | None) -> str:
    """Return the name of what `score_outputs` gives, for a sentence."""
    has_truth = about.task == "reconstruction" or (labels is not None and about.task != "fidelity")
    return SCORES[about.task] if has_truth else "agreement"


def compute_accuracy(outputs: Array, labels: Array) -> float:
    """Return the share of the samples whose most probable class is the label, 0 to 1."""
    return float((numerics.top_classes(outputs) == labels).mean())


def find_defect(outputs: Array, accuracy: float | None = None) -> str:
    """Return why these outputs are broken, "" where they are not.

    `accuracy` is that of a classification with labels, 0 to 1. Of all else it is only known whether the answers differ.
    """
    if accuracy is not None:
        classes = count_classes(outputs)
        at_chance = is_at_chance(accuracy, classes, len(outputs))
        return f"answers no better than chance: {accuracy:.2%} with {classes} classes" if at_chance else ""
    if len(outputs) > 1 and all((block == outputs[:1]).all() for block in numerics.iterate_blocks(outputs)):
        return "the same answer to every sample"
    return ""


def is_at_chance(accuracy: float, classes: int, samples: int) -> bool:
    """Return whether the accuracy, 0 to 1, is that of guessing: up to three standard errors above 1/classes."""
    chance = 1 / classes
    spread: float = (chance * (1 - chance) / samples) ** 0.5
    return accuracy <= chance + 3 * spread


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

    Of classes 1 where the top one is the same. Else the share of the values that are no further from the reference's
    than a twentieth of the standard deviation of all of these.
    """
    if is_compared_by_class(about, reference):
        return np.asarray(numerics.top_classes(outputs) == numerics.top_classes(reference)).astype(np.float64)
    near = NEAR * numerics.standard_deviation(reference)
    pairs = zip(
        numerics.iterate_blocks(numerics.flatten_samples(outputs)),
        numerics.iterate_blocks(numerics.flatten_samples(reference)),
        strict=True,
    )
    return np.concatenate([(np.abs(one - other) <= near).mean(axis=1) for one, other in pairs])


def is_compared_by_class(about: About, reference: Array) -> bool:
    """Return whether the outputs are of classes: they have names, or every row is of probabilities that sum to 1."""
    if about.task == "classification":
        return True
    if reference.ndim != 2 or reference.shape[1] < 2 or about.task != "fidelity":
        return False
    if len(about.classes) == reference.shape[1]:
        return True
    slack = numerics.PROBABILITY_SLACK
    sums_to_one = (np.abs(block.sum(axis=1) - 1).max() <= slack for block in numerics.iterate_blocks(reference))
    return not numerics.are_logits(reference) and all(sums_to_one)
