"""The part of benchmarks.ordinary in the keras image's environment: train an EfficientNetB0 for 600 steps only, a model
whose 8-bit forms fall to chance.

`python -m benchmarks.brief_efficientnet SOURCE OUT [--small]`: SOURCE is CIFAR-10 as `driver fetch` leaves it. Writes
`model.keras`, `exported/`, and two sets of images: some that it was trained on to calibrate, some it has not seen.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from images.keras import export
from shared.data.samples import LABELS, file

BATCH, SHAPE, CLASSES, OPSET = 32, (32, 32, 3), 10, 17


@dataclass(frozen=True)
class Size:
    steps: int = 600
    calibration: int = 500
    holdout: int = 2000


def main(source: Path, out: Path, size: Size, model: keras.Model) -> None:
    images, labels = np.load(source / "x_train_0.npy", mmap_mode="r"), np.load(source / "y_train.npy")
    order = np.random.default_rng(7).permutation(len(labels))
    seen = np.sort(order[size.holdout : size.holdout + size.steps * BATCH])
    drawn = np.random.default_rng(1).choice(seen, size.calibration, replace=False)
    for name, indices in (("calibration", np.sort(drawn)), ("holdout", np.sort(order[: size.holdout]))):
        (out / name).mkdir(parents=True, exist_ok=True)
        np.save(out / name / file(0), images[indices])
        np.save(out / name / LABELS, labels[indices])
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(images[seen].astype(np.float32), labels[seen], batch_size=BATCH, epochs=1, verbose=2)
    model.save(out / "model.keras")
    (out / "exported").mkdir()
    export.run(out, out / "calibration", out / "exported", opset=OPSET)


def efficientnet() -> keras.Model:
    return keras.applications.EfficientNetB0(weights=None, input_shape=SHAPE, classes=CLASSES)


def tiny() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, activation="swish"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


if __name__ == "__main__":
    keras.utils.set_random_seed(3)
    if "--small" in sys.argv:
        main(Path(sys.argv[1]), Path(sys.argv[2]), Size(steps=2, calibration=20, holdout=50), tiny())
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]), Size(), efficientnet())
