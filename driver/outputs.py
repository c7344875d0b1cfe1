"""How far two variants' outputs are apart on the same images, whether or not an answer changed.

Outputs are probabilities, (images, classes) float32, as the variants gave them: a row may sum to 1 only nearly.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import entropy

from driver.results import Changed, Drift

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
TINY = float(np.finfo(np.float32).tiny)


def drift(reference: Floats, variant: Floats) -> Drift:
    """ValueError where they are not of the same images and classes."""
    if reference.shape != variant.shape:
        raise ValueError(f"outputs of {reference.shape} and {variant.shape}: give both of the same images and classes")
    images = len(reference)
    changed = int(np.count_nonzero(reference.argmax(axis=1) != variant.argmax(axis=1)))
    exact = reference.astype(np.float64)
    noise = np.abs(exact - variant)
    known, found = positive(reference), positive(variant)
    return Drift(
        images=images,
        changed=changed,
        agreement=(images - changed) / images,
        max_abs=float(noise.max()),
        mean_abs=float(noise.mean()),
        sqnr_db=sqnr_db(exact, noise),
        cosine=cosine(known, found),
        kl=float(entropy(known, found, axis=1).mean()),
    )


def sqnr_db(signal: Doubles, noise: Doubles) -> float | None:
    """10 log10 of the ratio of their powers; None where there is no noise."""
    power = float(np.vdot(noise, noise))
    return float(10 * np.log10(np.vdot(signal, signal) / power)) if power else None


def positive(probabilities: Floats) -> Doubles:
    """Nothing below the smallest normal float32, so that a logarithm is finite and a row of zeros has a direction."""
    return np.maximum(probabilities.astype(np.float64), TINY)


def cosine(one: Doubles, other: Doubles) -> float:
    """Mean over the rows, at most 1."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return min(1.0, float((np.einsum("ij,ij->i", one, other) / lengths).mean()))


def margin(probabilities: Floats) -> Floats:
    """(images,): by how much the best class beats the second; 0 where they tie."""
    second, best = np.partition(probabilities, -2, axis=1)[:, -2:].T
    return np.asarray(best - second)


def changed_images(reference: Floats, variant: Floats, labels: NDArray[np.integer[Any]]) -> list[Changed]:
    """Images whose top-1 changed, those that the variant is surest of first; of equals, the first in the set first."""
    before, after = reference.argmax(axis=1), variant.argmax(axis=1)
    index = np.flatnonzero(before != after)
    margin_before, margin_after = margin(reference[index]), margin(variant[index])
    order = np.argsort(-margin_after, kind="stable")
    columns = (index, labels[index], before[index], after[index], margin_before, margin_after)
    return [Changed(*row) for row in zip(*(column[order].tolist() for column in columns), strict=True)]
