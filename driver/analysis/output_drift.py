"""The difference between two variants' outputs on the same samples, whether or not an answer changed.

Outputs are those of a model's output as the variants gave them, (images, …) float32: of probabilities a row may sum to
1 only nearly, and logits are logits. Arrays may be mapped: they are read in blocks.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.analysis.results import Changed, Drift, OutputDrift
from shared import numerics
from shared.numerics import ErrorAccumulator

Floats = NDArray[np.float32]
Classes = NDArray[np.integer[Any]]


def compute_drift(reference: Floats, variant: Floats, classes: bool = True, logits: bool | None = None) -> Drift:
    """Of outputs that are `classes`, by their top-1 too. ValueError where they are not of the same images and shape.

    `logits`: is the reference of logits? None: it is computed, which reads all of it.
    """
    if reference.shape != variant.shape:
        raise ValueError(f"outputs of {reference.shape} and {variant.shape}: give both of the same images and classes")
    return compute_class_drift(reference, variant, logits) if classes else compute_value_drift(reference, variant)


def compute_class_drift(reference: Floats, variant: Floats, logits: bool | None = None) -> Drift:
    """KL, cosine and top-1 are of probabilities, all else is of what the model gave.

    Whether the outputs are logits the reference tells. `explain` has the same KL: `numerics.mean_kl_divergence`.
    """
    images, logits = len(reference), numerics.are_logits(reference) if logits is None else logits
    changed, kl, cosines, errors = 0, 0.0, 0.0, ErrorAccumulator()
    for reference_block, variant_block in pair_blocks(reference, variant):
        errors.add(reference_block, variant_block)
        one = numerics.class_probabilities(reference_block, logits)
        other = numerics.class_probabilities(variant_block, logits)
        changed += int(np.count_nonzero(one.argmax(axis=1) != other.argmax(axis=1)))
        one, other = numerics.clip_to_positive(one), numerics.clip_to_positive(other)
        kl += float(numerics.kl_divergence(one, other).sum())
        cosines += float(numerics.cosine_similarity(one, other).sum())
    return Drift(
        images=images,
        changed=changed,
        agreement=(images - changed) / images,
        max_abs=errors.max_abs,
        mean_abs=errors.mean_abs,
        sqnr_db=errors.sqnr_db,
        cosine=min(1.0, cosines / images),
        kl=max(0.0, kl / images),
    )


def compute_value_drift(reference: Floats, variant: Floats) -> Drift:
    """The cosine is of all outputs at once: a single value has a sign and no direction."""
    errors = ErrorAccumulator()
    for reference_block, variant_block in pair_blocks(reference, variant):
        errors.add(reference_block, variant_block)
    return Drift(len(reference), None, None, errors.max_abs, errors.mean_abs, errors.sqnr_db, errors.cosine, None)


def compare_all_outputs(reference: Sequence[Floats], variant: Sequence[Floats]) -> tuple[OutputDrift, ...]:
    """All outputs of a model that has several; nothing of a model that has one, which `drift` is of."""
    if len(reference) < 2:
        return ()
    drifts = []
    for number, (one, other) in enumerate(zip(reference, variant, strict=False)):
        if one.shape == other.shape:
            drift_of_output = compute_value_drift(one, other)
            drifts.append(OutputDrift(number, drift_of_output.sqnr_db, drift_of_output.cosine, drift_of_output.max_abs))
    return tuple(drifts)


def pair_blocks(reference: Floats, variant: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield blocks of both, (samples, values), that are of the same samples."""
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
