"""Counts the bytes that a model computes for one sample, which determine the batch size.

The inputs say little of it: a sentence of 1 KB may have attention matrices of 300 MB. Each image counts the bytes of
the tensors that its framework computes, and `samples.fitting` makes batches that leave room for them.

The count comes from shapes alone, never from the memory that is free or was seen to be used: kernels add up in another
order where a batch has another size, so that the last bits of an answer depend on it. A batch that depends on the model
and the data alone gives the same answers and the same ranges on every machine.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from shared.data import samples
from shared.data.samples import Batch


def per_sample(total: Callable[[Batch], int], dataset: Path) -> int:
    """Bytes that one more sample of `dataset` adds; `total` counts those of all tensors for a batch.

    What is computed of weights alone is the same for two samples and for three, and is not counted. Two and three are
    compared, not one and two: a graph may drop an axis of size one, the batch among them.
    """
    sample = samples.take(dataset, slice(1))
    if not len(sample[0]):
        return 0
    two, three = (total(tuple(np.repeat(array, count, axis=0) for array in sample)) for count in (2, 3))
    return max(0, three - two)
