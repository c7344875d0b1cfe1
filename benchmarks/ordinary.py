"""What a model loses in 8 bits when it is calibrated on all images, and when on those that are like others.

`.venvs/onnx/bin/python -m benchmarks.ordinary MODEL.onnx FOLDER` for a folded model; FOLDER has `calibration/` and
`holdout/` as `benchmarks.brief_efficientnet` writes them. U8S8 per channel, min/max.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from images.onnx.calibrate import ranges
from images.onnx.outliers import magnitudes, ordinary, scores
from images.onnx.quantize import write
from images.onnx.recipe import Recipe
from images.onnx.session import FILE, load
from shared import threads
from shared.samples import LABELS, Indices, batches, file

LIMITS = (np.inf, 20.0, 10.0, 5.0)
RECIPE = Recipe("uint8", "int8", per_channel=True)


def main(model: Path, folder: Path) -> None:
    threads.limit(1)
    calibration, labels = folder / "calibration", np.load(folder / "holdout" / LABELS)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        found = scores(magnitudes(model, calibration, scratch))
        (scratch / FILE).write_bytes(model.read_bytes())
        exact = classes(scratch, folder)
        print(
            f"scores: median {np.median(found):.2f}, greatest {found.max():.1f}; float {np.mean(exact == labels):.2%}"
        )
        for limit in LIMITS:
            kept = ordinary(found, limit)
            answers = quantized(model, np.load(calibration / file(0))[kept], folder, scratch)
            same, right = np.mean(answers == exact), np.mean(answers == labels)
            print(f"limit {limit:4g}: {len(kept)} images, accuracy {right:.2%}, same top-1 as float {same:.2%}")


def quantized(model: Path, images: np.ndarray, folder: Path, scratch: Path) -> Indices:
    np.save(scratch / file(0), images)
    found = ranges(model, scratch, "minmax", 100.0, scratch)
    write(model, found, RECIPE, [], scratch / FILE)
    return classes(scratch, folder)


def classes(variant: Path, folder: Path) -> Indices:
    model = load(variant, 1)
    return np.concatenate([model(batch)[0].argmax(axis=1) for batch in batches(folder / "holdout", 100)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
