"""The difference between two variants' outputs on the same samples, whether or not an answer changed.

Outputs are those of a model's output as the variants gave them, (images, …) float32: of probabilities a row may sum to
1 only nearly, and logits are logits. Arrays may be mapped: they are read in blocks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.analysis.results import Changed, Drift, OutputDrift
from shared import numerics
from shared.numerics import DifferenceAccumulator

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Classes = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class ProbabilityRows:
    """What is computed once of each sample's probabilities, (samples,): the likeliest class and its probability, and of
    the probabilities that are clipped as for the divergence their sum and their length as a vector.
    """

    likeliest: NDArray[np.int64]
    confidence: Floats
    sums: Doubles
    lengths: Doubles


@dataclass(frozen=True, eq=False)
class Outputs:
    """The outputs of a variant, (samples, …). What a drift needs of one variant alone is computed once, however many
    variants it is compared with.
    """

    outputs: Floats

    @cached_property
    def power(self) -> float:
        """The sum of the squares of the outputs."""
        return numerics.sum_of_squares(self.outputs)


@dataclass(frozen=True, eq=False)
class ClassOutputs(Outputs):
    """The outputs of a classifier, and whether they are logits.

    The probabilities are computed anew for each drift, a block that fits into a cache after the other: beside many
    variants with many classes there would be no memory for them, and to read them there would take no less time.
    """

    logits: bool

    def iterate_probabilities(self) -> Iterator[Floats]:
        """Yield the probabilities of consecutive samples, (samples, classes)."""
        for block in numerics.iterate_blocks(self.outputs, numerics.CACHED_VALUES):
            yield numerics.class_probabilities(block, self.logits)

    @cached_property
    def rows(self) -> ProbabilityRows:
        columns = [describe_rows(block) for block in self.iterate_probabilities()]
        return ProbabilityRows(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def describe_rows(probabilities: Floats) -> tuple[NDArray[np.int64], Floats, Doubles, Doubles]:
    """The fields of `ProbabilityRows`."""
    clipped = numerics.clip_to_positive(probabilities)
    likeliest, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    return likeliest, confidence, clipped.sum(axis=1), np.linalg.norm(clipped, axis=1)


def compute_class_drift(reference: ClassOutputs, variant: ClassOutputs) -> Drift:
    """KL, cosine and top-1 are of probabilities, all else is of what the model gave.

    Whether the outputs of both are logits the reference tells. `explain` has the same KL:
    `numerics.mean_kl_divergence`.
    """
    differences = DifferenceAccumulator()
    for pair in pair_blocks(reference.outputs, variant.outputs):
        differences.add(*pair)
    images = len(reference.outputs)
    changed = int(np.count_nonzero(reference.rows.likeliest != variant.rows.likeliest))
    divergences, cosines = compare_probabilities(reference, variant)
    return Drift(
        images=images,
        changed=changed,
        agreement=(images - changed) / images,
        max_abs=differences.max_abs,
        mean_abs=differences.mean_abs,
        sqnr_db=numerics.sqnr_db(reference.power, differences.noise_power),
        cosine=min(1.0, add_up(cosines, reference.outputs) / images),
        kl=max(0.0, add_up(divergences, reference.outputs) / images),
    )


def compare_probabilities(reference: ClassOutputs, variant: ClassOutputs) -> tuple[Doubles, Doubles]:
    """The Kullback-Leibler divergence of each sample, and the cosine of the two vectors; both (samples,)."""
    divergences, products, start = [], [], 0
    for pair in zip(reference.iterate_probabilities(), variant.iterate_probabilities(), strict=True):
        one, other = map(numerics.clip_to_positive, pair)
        block = slice(start, start + len(one))
        products.append(np.einsum("ij,ij->i", one, other))
        one /= reference.rows.sums[block, None]
        other /= variant.rows.sums[block, None]
        divergences.append(numerics.relative_entropy(one, other))
        start = block.stop
    return np.concatenate(divergences), np.concatenate(products) / (reference.rows.lengths * variant.rows.lengths)


def add_up(values: Doubles, outputs: Floats) -> float:
    """The sum over the samples of `outputs`, added up by their blocks as in `numerics.mean_kl_divergence`."""
    size = len(next(numerics.iterate_blocks(outputs)))
    return sum((float(values[start : start + size].sum()) for start in range(0, len(values), size)), 0.0)


def compute_value_drift(reference: Outputs, variant: Outputs) -> Drift:
    """The cosine is of all outputs at once: a single value has a sign and no direction."""
    differences, product = DifferenceAccumulator(), 0.0
    for one, other in pair_blocks(reference.outputs, variant.outputs):
        differences.add(one, other)
        product += float(np.vdot(one.astype(np.float64), other.astype(np.float64)))
    return Drift(
        images=len(reference.outputs),
        changed=None,
        agreement=None,
        max_abs=differences.max_abs,
        mean_abs=differences.mean_abs,
        sqnr_db=numerics.sqnr_db(reference.power, differences.noise_power),
        cosine=float(numerics.cosine_from_powers(product, reference.power, variant.power)),
        kl=None,
    )


def compare_all_outputs(reference: Sequence[Outputs], variant: Sequence[Outputs]) -> tuple[OutputDrift, ...]:
    """All outputs of a model that has several; nothing of a model that has one, which `drift` is of."""
    if len(reference) < 2:
        return ()
    drifts = []
    for number, (one, other) in enumerate(zip(reference, variant, strict=False)):
        if one.outputs.shape == other.outputs.shape:
            drift_of_output = compute_value_drift(one, other)
            drifts.append(OutputDrift(number, drift_of_output.sqnr_db, drift_of_output.cosine, drift_of_output.max_abs))
    return tuple(drifts)


def pair_blocks(reference: Floats, variant: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield blocks of both, (samples, values), that are of the same samples.

    ValueError where they are not of the same images and shape.
    """
    if reference.shape != variant.shape:
        raise ValueError(f"outputs of {reference.shape} and {variant.shape}: give both of the same images and classes")
    rows = (numerics.flatten_samples(reference), numerics.flatten_samples(variant))
    return zip(*map(numerics.iterate_blocks, rows), strict=True)


def compute_margins(probabilities: Floats) -> Floats:
    """(images,): by how much the best class beats the second; 0 where they tie."""
    second, best = np.partition(probabilities, -2, axis=1)[:, -2:].T
    return np.asarray(best - second)


def describe_changes(indices: NDArray[np.int64], reference: Floats, variant: Floats, labels: Classes) -> list[Changed]:
    """Samples whose likeliest class changed, those that the variant is surest of first; of equals, the first sample.

    `indices` are the places of these samples in the test set. `reference` and `variant` are their probabilities alone,
    (changed samples, classes), and `labels` their labels.
    """
    margin_before, margin_after = compute_margins(reference), compute_margins(variant)
    order = np.argsort(-margin_after, kind="stable")
    columns = (indices, labels, reference.argmax(axis=1), variant.argmax(axis=1), margin_before, margin_after)
    return [Changed(*row) for row in zip(*(column[order].tolist() for column in columns), strict=True)]
