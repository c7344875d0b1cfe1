"""Samples that are in two places: what calibrates or chooses must not be among what judges."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.data import samples
from shared.data.samples import Array, Indices
from shared.errors import CrossquantError

SIZE = 16  # bytes of a digest
BLOCK = 256  # samples that are read at once
SHOWN = 5  # pairs that a message names

Digests = NDArray[np.uint64]  # (n, 2)


def of_sample(inputs: Sequence[Array]) -> bytes:
    """A digest of the bytes of all inputs of one sample."""
    total = hashlib.blake2b(digest_size=SIZE)
    for array in inputs:
        total.update(np.ascontiguousarray(array).data)
    return total.digest()


def file(split: str) -> str:
    """What a data set may have of `train` or `test`, so that it needn't be read again."""
    return f"digests_{split}.npy"


def as_array(found: Sequence[bytes]) -> Digests:
    return np.frombuffer(b"".join(found), "<u8").reshape(-1, SIZE // 8)


def digests(folder: Path, split: str, arrays: Sequence[Path]) -> Digests:
    """Of each sample: as the data set has them, or computed from its arrays."""
    known = folder / file(split)
    return np.load(known) if known.exists() else computed(arrays)


def computed(arrays: Sequence[Path], where: Indices | None = None) -> Digests:
    """Of all samples of the arrays, or of those at `where`."""
    found: list[bytes] = []
    places = np.arange(len(samples.mapped(arrays[0])) if arrays else 0) if where is None else where
    for start in range(0, len(places), BLOCK):
        blocks = [samples.mapped(path)[places[start : start + BLOCK]] for path in arrays]
        found += [of_sample(sample) for sample in zip(*blocks, strict=True)]
    return as_array(found)


def pairs(one: Digests, other: Digests) -> list[tuple[int, int]]:
    """(i, j) for each sample of `one` that is the sample j of `other`, the first one if there are several."""
    places: dict[tuple[int, int], int] = {}
    for number, digest in enumerate(map(tuple, other.tolist())):
        places.setdefault(digest, number)
    found = ((number, places.get(digest)) for number, digest in enumerate(map(tuple, one.tolist())))
    return [(number, place) for number, place in found if place is not None]


def groups(found: Digests) -> Indices:
    """(n,): equal samples have equal numbers."""
    return np.unique(found, axis=0, return_inverse=True)[1].reshape(-1)


def repeated(found: Digests) -> int:
    """How many samples are there a second time."""
    return len(found) - len(np.unique(found, axis=0))


def refuse(what: str, drawn: Indices, found: Digests, test: Digests) -> None:
    """CrossquantError where a training sample is a test sample too: `found` are the digests of those `drawn`."""
    both = pairs(found, test)
    if both:
        named = ", ".join(f"{drawn[one]} = {other}" for one, other in both[:SHOWN])
        more = f" and {len(both) - SHOWN} more" if len(both) > SHOWN else ""
        raise CrossquantError(
            f"leakage: {len(both)} of the {len(drawn)} training samples of {what} are test samples too "
            f"(train = test: {named}{more}): take them out of one set, or set data.duplicates: skip"
        )
