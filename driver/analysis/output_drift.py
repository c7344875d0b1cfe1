"""How far two variants' outputs are apart on the same images, whether or not an answer changed.

Outputs are those of a model's output as the variants gave them, (images, …) float32: of probabilities a row may sum to
1 only nearly, and logits are logits. Arrays may be mapped: they are read in blocks.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import entropy

from driver.analysis.results import Changed, Drift, OutputDrift
from shared import tasks
from shared.sensitivity.layer_errors import Difference

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
TINY = float(np.finfo(np.float32).tiny)


def drift(reference: Floats, variant: Floats, classes: bool = True) -> Drift:
    """Of outputs that are `classes`, by their top-1 too. ValueError where they are not of the same images and shape."""
    if reference.shape != variant.shape:
        raise ValueError(f"outputs of {reference.shape} and {variant.shape}: give both of the same images and classes")
    return of_classes(reference, variant) if classes else of_any(reference, variant)


def of_classes(reference: Floats, variant: Floats) -> Drift:
    """KL, cosine and top-1 are of probabilities, all else is of what the model gave."""
    images, logits = len(reference), tasks.are_logits(reference)
    changed, kl, cosines, errors = 0, 0.0, 0.0, Errors()
    for one, other in blocks(reference, variant):
        errors.add(one, other)
        exact, found = (tasks.class_probabilities(each, logits) for each in (one, other))
        changed += int(np.count_nonzero(exact.argmax(axis=1) != found.argmax(axis=1)))
        exact, found = positive(exact), positive(found)
        kl += float(entropy(exact, found, axis=1).sum())
        cosines += float(row_cosines(exact, found).sum())
    return Drift(
        images=images,
        changed=changed,
        agreement=(images - changed) / images,
        max_abs=errors.max_abs,
        mean_abs=errors.mean_abs,
        sqnr_db=errors.sqnr_db,
        cosine=min(1.0, cosines / images),
        kl=kl / images,
    )


def of_any(reference: Floats, variant: Floats) -> Drift:
    """The cosine is of all outputs at once: a single value has a sign and no direction."""
    difference, errors = Difference(), Errors()
    for one, other in blocks(reference, variant):
        difference.add(one, other)
        errors.add(one, other)
    cosine = difference.error().cosine
    return Drift(len(reference), None, None, errors.max_abs, errors.mean_abs, errors.sqnr_db, cosine, None)


def every(reference: Sequence[Floats], variant: Sequence[Floats]) -> tuple[OutputDrift, ...]:
    """All outputs of a model that has several."""
    found = []
    for number, (one, other) in enumerate(zip(reference, variant, strict=False)):
        if one.shape == other.shape:
            known = of_any(one, other)
            found.append(OutputDrift(number, known.sqnr_db, known.cosine, known.max_abs))
    return tuple(found) if len(reference) > 1 else ()


def blocks(reference: Floats, variant: Floats) -> Iterator[tuple[Floats, Floats]]:
    return zip(tasks.blocks(tasks.rows(reference)), tasks.blocks(tasks.rows(variant)), strict=True)


class Errors:
    """Of differences, block after block."""

    def __init__(self) -> None:
        self.values, self.total, self.max_abs, self.signal, self.power = 0, 0.0, 0.0, 0.0, 0.0

    def add(self, reference: Floats, variant: Floats) -> None:
        exact = reference.astype(np.float64)
        noise = np.abs(exact - variant)
        self.values += noise.size
        self.total += float(noise.sum())
        self.max_abs = max(self.max_abs, float(noise.max(initial=0.0)))
        self.signal += float(np.vdot(exact, exact))
        self.power += float(np.vdot(noise, noise))

    @property
    def mean_abs(self) -> float:
        return self.total / max(1, self.values)

    @property
    def sqnr_db(self) -> float | None:
        """10 log10 of the ratio of the powers; None where there is no noise."""
        return float(10 * np.log10(max(self.signal, TINY) / self.power)) if self.power else None


def positive(probabilities: NDArray[Any]) -> Doubles:
    """Nothing below the smallest normal float32, so that a logarithm is finite and a row of zeros has a direction."""
    return np.maximum(probabilities.astype(np.float64), TINY)


def row_cosines(one: Doubles, other: Doubles) -> Doubles:
    """Of each row: 1 is the same direction."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray(np.einsum("ij,ij->i", one, other) / lengths)


def margin(probabilities: Floats) -> Floats:
    """(images,): by how much the best class beats the second; 0 where they tie."""
    second, best = np.partition(probabilities, -2, axis=1)[:, -2:].T
    return np.asarray(best - second)


def changed_images(reference: Floats, variant: Floats, labels: NDArray[np.integer[Any]]) -> list[Changed]:
    """Images whose top-1 changed, those that the variant is surest of first; of equals, the first in the set first.

    `reference` and `variant` are probabilities.
    """
    before, after = reference.argmax(axis=1), variant.argmax(axis=1)
    index = np.flatnonzero(before != after)
    margin_before, margin_after = margin(reference[index]), margin(variant[index])
    order = np.argsort(-margin_after, kind="stable")
    columns = (index, labels[index], before[index], after[index], margin_before, margin_after)
    return [Changed(*row) for row in zip(*(column[order].tolist() for column in columns), strict=True)]
