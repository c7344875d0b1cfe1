"""Models that take one number of samples and no other."""

import numpy as np

from shared.data.samples import Batch
from shared.errors import Unsupported
from shared.measure.predictions import Model


def refuse(size: int) -> None:
    """Unsupported for a quantizer, which shows a model its calibration set in batches of other sizes; 0 is any size."""
    if size:
        raise Unsupported(
            f"the model takes batches of {size} alone, which can't be calibrated: save it for any number of samples"
        )


def in_batches_of(size: int, model: Model) -> Model:
    """A model of a fixed batch, for any number of samples: the last ones are filled up with the last sample."""

    def answer(batch: Batch) -> Batch:
        count = len(batch[0])
        parts = []
        for start in range(0, count, size):
            taken = [np.take(array, range(start, start + size), axis=0, mode="clip") for array in batch]
            parts.append(model(tuple(taken)))
        return tuple(np.concatenate(pieces)[:count] for pieces in zip(*parts, strict=True))

    return answer
