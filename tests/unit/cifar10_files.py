"""CIFAR-10 in small, in the forms in which it is published."""

import io
import tarfile

import numpy as np

BATCH = 3  # images in each of the five training files


def small_arrays():
    random = np.random.default_rng(1)
    return {
        "x_train": random.integers(0, 256, (5 * BATCH, 32, 32, 3), np.uint8),
        "y_train": random.integers(0, 10, 5 * BATCH).astype(np.uint8),
        "x_test": random.integers(0, 256, (4, 32, 32, 3), np.uint8),
        "y_test": np.array([9, 0, 3, 3], np.uint8),
    }


def tarball(path, files):
    """A compressed archive of `files` (name: bytes) at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def parts(arrays):
    """(file name, images, labels) of the six files of either form."""
    for number in range(5):
        rows = slice(number * BATCH, (number + 1) * BATCH)
        yield f"data_batch_{number + 1}", arrays["x_train"][rows], arrays["y_train"][rows]
    yield "test_batch", arrays["x_test"], arrays["y_test"]


def binary(arrays):
    """A label byte, then the red, the green and the blue plane."""
    return {
        f"cifar-10-batches-bin/{name}.bin": b"".join(
            bytes([label]) + b"".join(image[:, :, colour].tobytes() for colour in range(3))
            for image, label in zip(images, labels, strict=True)
        )
        for name, images, labels in parts(arrays)
    }
