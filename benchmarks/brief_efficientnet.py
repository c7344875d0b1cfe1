"""Train an EfficientNetB0 on CIFAR-10 for 600 steps only: a model whose 8-bit forms fall to chance.

`.venvs/keras/bin/python -m benchmarks.brief_efficientnet volumes/inputs/cifar10 OUT` writes `model.keras`, and the
images for `benchmarks.ordinary`: 500 that it was trained on to calibrate, 2,000 that it has not seen. Two minutes.
"""

import sys
from pathlib import Path

import keras
import numpy as np

from shared.samples import LABELS, file

STEPS, BATCH = 600, 32
CALIBRATION, HOLDOUT = 500, 2000


def main(source: Path, out: Path) -> None:
    keras.utils.set_random_seed(3)
    images, labels = np.load(source / "x_train_0.npy", mmap_mode="r"), np.load(source / "y_train.npy")
    order = np.random.default_rng(7).permutation(len(labels))
    seen = np.sort(order[HOLDOUT : HOLDOUT + STEPS * BATCH])
    drawn = np.random.default_rng(1).choice(seen, CALIBRATION, replace=False)
    for name, indices in (("calibration", np.sort(drawn)), ("holdout", np.sort(order[:HOLDOUT]))):
        (out / name).mkdir(parents=True, exist_ok=True)
        np.save(out / name / file(0), images[indices])
        np.save(out / name / LABELS, labels[indices])
    model = keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=10)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(images[seen].astype(np.float32), labels[seen], batch_size=BATCH, epochs=1, verbose=2)
    model.save(out / "model.keras")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
