"""The sample of CIFAR-10 that the project carries: work without any network, at the price of wider error bars.

`python -m driver.inputs.embedded_sample` makes it again from the full data set below volumes/inputs/.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from driver.inputs import cifar10
from shared.artifacts.store import volumes
from shared.data.samples import draw_by_class

FOLDER = Path(__file__).parent / "sample"
TEST_PER_CLASS = 200
CALIBRATION_PER_CLASS = 100
SEED = 0
COLUMNS = 50  # images side by side in a picture


def load(folder: Path = FOLDER) -> cifar10.Arrays:
    """The arrays of `cifar10.decode`, with fewer images: `train_indices` and `test_indices` say which.

    `y_train` has all 50,000 labels: the calibration draw looks at them all, and so draws the same images.
    """
    arrays = {name: unpack(folder / f"{name}.webp") for name in ("x_train", "x_test")}
    with np.load(folder / "labels.npz") as labels:
        return {**arrays, **labels}


def make(full: Path, folder: Path) -> None:
    """Write the sample of the data set whose arrays lie in `full`."""
    y_train, y_test = np.load(full / "y_train.npy"), np.load(full / "y_test.npy")
    train = draw_by_class(y_train, CALIBRATION_PER_CLASS, np.random.default_rng(SEED))
    test = draw_by_class(y_test, TEST_PER_CLASS, np.random.default_rng(SEED))
    folder.mkdir(parents=True, exist_ok=True)
    pack(np.load(full / "x_train_0.npy", mmap_mode="r")[train], folder / "x_train.webp")
    pack(np.load(full / "x_test_0.npy", mmap_mode="r")[test], folder / "x_test.webp")
    np.savez_compressed(
        folder / "labels.npz",
        y_train=y_train,
        y_test=y_test[test],
        train_indices=train,
        test_indices=test,
    )
    (folder / "sha256.json").write_text(json.dumps(cifar10.hash_arrays(load(folder)), indent=1) + "\n")


def pack(images: NDArray[np.uint8], path: Path) -> None:
    """One lossless picture of all images, COLUMNS in a row."""
    from PIL import Image  # noqa: PLC0415 - most commands decode nothing, and would wait for it

    count, height, width, channels = images.shape
    grid = images.reshape(count // COLUMNS, COLUMNS, height, width, channels)
    sheet = grid.transpose(0, 2, 1, 3, 4).reshape(-1, COLUMNS * width, channels)
    Image.fromarray(sheet).save(path, lossless=True, quality=100, method=6)


def unpack(path: Path) -> NDArray[np.uint8]:
    """(n, 32, 32, 3) uint8, in the order in which they were packed."""
    from PIL import Image  # noqa: PLC0415 - see above

    sheet = np.asarray(Image.open(path))
    rows = sheet.shape[0] // 32
    grid = sheet.reshape(rows, 32, COLUMNS, 32, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(grid.reshape(-1, 32, 32, 3))


def main(argv: Sequence[str]) -> int:
    make(volumes() / "inputs" / "cifar10", Path(argv[0]) if argv else FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
