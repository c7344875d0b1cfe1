"""Every variant's answer to every test image, written as it is computed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import CrossquantError
from shared.images import IMAGES, Floats, batches
from shared.progress import report

Model = Callable[[Floats], Floats]
FILE = "probabilities.npy"


def predict(model: Model, dataset: Path, out: Path, batch_size: int) -> None:
    """Write `probabilities.npy`, (images, classes) float32, in the order of the data set.

    `model` maps a preprocessed batch (n, height, width, channels) to (n, classes). Memory doesn't grow with the number
    of images: each batch's answer is written at once. CrossquantError where an answer is not finite.
    """
    total, done = len(np.load(dataset / IMAGES, mmap_mode="r")), 0
    with (out / FILE).open("wb") as file:
        for batch in batches(dataset / IMAGES, batch_size):
            answer = checked(model(batch), len(batch))
            if not done:
                classes = answer.shape[1]
                header = {"descr": "<f4", "fortran_order": False, "shape": (total, classes)}
                np.lib.format.write_array_header_1_0(file, header)
            if answer.shape[1] != classes:
                raise CrossquantError(
                    f"the model answers {answer.shape[1]} classes after {classes}: "
                    "it must answer the same number to every batch"
                )
            file.write(np.ascontiguousarray(answer, dtype="<f4").tobytes())
            done += len(batch)
            report(done, total)


def checked(answer: Floats, images: int) -> Floats:
    if answer.ndim != 2 or len(answer) != images:
        raise CrossquantError(
            f"the model answers {answer.shape} to {images} images: it must answer one row of probabilities an image"
        )
    if not np.isfinite(answer).all():
        raise CrossquantError("the model answers NaN or infinity: look at its weights and ranges")
    return answer


def at_chance(probabilities: Floats, labels: NDArray[np.uint8]) -> bool:
    """Is the accuracy that of guessing? True up to three standard errors above 1/classes: such a variant is broken."""
    images, classes = probabilities.shape
    chance = 1 / classes
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    spread: float = (chance * (1 - chance) / images) ** 0.5
    return bool(accuracy <= chance + 3 * spread)
