"""The part of benchmarks.ordinary in the onnx image's environment: fold, calibrate on some images, quantize, judge.

`python -m benchmarks.ordinary_judge FOLDER`, where benchmarks.brief_efficientnet has written `exported/`,
`calibration/` and `holdout/`.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from images.onnx import fold_batchnorm
from images.onnx.quantize import write_quantized
from images.onnx.quantize.calibrate import compute_ranges
from images.onnx.quantize.outliers import measure_magnitudes, score_samples, select_ordinary
from images.onnx.quantize.recipe import Recipe
from images.onnx.session import FILE, load
from shared.data.samples import LABELS, Indices, batches, file
from shared.runner import threads

LIMITS = (np.inf, 20.0, 10.0, 5.0)
RECIPE = Recipe("uint8", "int8", per_channel=True)


def main(folder: Path) -> None:
    threads.limit(1)
    calibration, labels = folder / "calibration", np.load(folder / "holdout" / LABELS)
    with tempfile.TemporaryDirectory() as name:
        scratch, folded = Path(name), Path(name, "folded")
        folded.mkdir()
        fold_batchnorm.run(folder / "exported", folded, enabled=True)
        scores = score_samples(measure_magnitudes(folded / FILE, calibration, scratch))
        exact = classes(folded, folder)
        print(f"Scores of the calibration images: median {np.median(scores):.2f}, greatest {scores.max():.1f}.\n")
        print("| calibrated on | images | accuracy | same top-1 as float |\n|---|---:|---:|---:|")
        print(f"| float | – | {np.mean(exact == labels):.2%} | {1:.2%} |")
        for limit in LIMITS:
            kept = select_ordinary(scores, limit)
            answers = quantized(folded / FILE, np.load(calibration / file(0))[kept], folder, scratch)
            right, same = np.mean(answers == labels), np.mean(answers == exact)
            what = f"scores up to {limit:g}" if np.isfinite(limit) else "all"
            print(f"| {what} | {len(kept)} | {right:.2%} | {same:.2%} |")


def quantized(model: Path, images: np.ndarray, folder: Path, scratch: Path) -> Indices:
    np.save(scratch / file(0), images)
    ranges = compute_ranges(model, scratch, "minmax", 100.0, scratch)
    write_quantized(model, ranges, RECIPE, [], scratch / FILE)
    return classes(scratch, folder)


def classes(variant: Path, folder: Path) -> Indices:
    model = load(variant, 1)
    return np.concatenate([model(batch)[0].argmax(axis=1) for batch in batches(folder / "holdout", 100)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
