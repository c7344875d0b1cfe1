"""Finds samples that are in two sets: those that calibrate or choose must not be in the test set."""

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


def digest_sample(inputs: Sequence[Array]) -> bytes:
    """Return a digest of the bytes of all inputs of one sample."""
    total = hashlib.blake2b(digest_size=SIZE)
    for array in inputs:
        total.update(np.ascontiguousarray(array).data)
    return total.digest()


def file(split: str) -> str:
    """Return the name of the file with the digests of `train` or `test`, which a data set may have."""
    return f"digests_{split}.npy"


def as_array(sample_digests: Sequence[bytes]) -> Digests:
    """Return digests of samples as an array, (n, 2)."""
    return np.frombuffer(b"".join(sample_digests), "<u8").reshape(-1, SIZE // 8)


def digests(folder: Path, split: str, arrays: Sequence[Path]) -> Digests:
    """Return the digest of each sample: read from the data set if it has them, or computed from its arrays."""
    path = folder / file(split)
    return np.load(path) if path.exists() else compute_digests(arrays)


def compute_digests(arrays: Sequence[Path], indices: Indices | None = None) -> Digests:
    """Compute the digests of all samples of the arrays, or of those at `indices`."""
    sample_digests: list[bytes] = []
    if indices is None:
        indices = np.arange(len(samples.mapped(arrays[0])) if arrays else 0)
    for start in range(0, len(indices), BLOCK):
        blocks = [samples.mapped(path)[indices[start : start + BLOCK]] for path in arrays]
        sample_digests += [digest_sample(sample) for sample in zip(*blocks, strict=True)]
    return as_array(sample_digests)


def pairs(one: Digests, other: Digests) -> list[tuple[int, int]]:
    """Return (i, j) for each sample i of `one` that equals the sample j of `other`, the first of several."""
    indices: dict[tuple[int, int], int] = {}
    for index, digest in enumerate(map(tuple, other.tolist())):
        indices.setdefault(digest, index)
    matches = ((index, indices.get(digest)) for index, digest in enumerate(map(tuple, one.tolist())))
    return [(index, match) for index, match in matches if match is not None]


def group_equal(sample_digests: Digests) -> Indices:
    """Return a number for each sample, (n,): equal samples have equal numbers."""
    return np.unique(sample_digests, axis=0, return_inverse=True)[1].reshape(-1)


def count_repeated(sample_digests: Digests) -> int:
    """Count the samples that equal an earlier one."""
    return len(sample_digests) - len(np.unique(sample_digests, axis=0))


def refuse(what: str, drawn: Indices, drawn_digests: Digests, test: Digests) -> None:
    """Raise CrossquantError if one of the training samples `drawn`, which `what` names, is a test sample too."""
    both = pairs(drawn_digests, test)
    if both:
        named = ", ".join(f"{drawn[one]} = {other}" for one, other in both[:SHOWN])
        more = f" and {len(both) - SHOWN} more" if len(both) > SHOWN else ""
        raise CrossquantError(
            f"leakage: {len(both)} of the {len(drawn)} training samples of {what} are test samples too "
            f"(train = test: {named}{more}): take them out of one set, or set data.duplicates: skip"
        )
