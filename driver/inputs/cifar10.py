"""CIFAR-10 (Krizhevsky, 2009) from each form in which it is published, to one set of arrays."""

import hashlib
import json
import tarfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import CrossquantError

Arrays = dict[str, NDArray[Any]]
TRAIN_FILES = range(1, 6)
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def decode(archive: Path) -> Arrays:
    """`x_train`, `y_train`, `x_test`, `y_test` from the official binary tarball or from the npm package's.

    Images are uint8 (n, 32, 32, 3), labels uint8 (n,). CrossquantError where the archive is neither.
    """
    try:
        with tarfile.open(archive) as tar:
            names = {Path(name).name: name for name in tar.getnames()}
            if "test_batch.bin" in names:
                return _binary(tar, names)
            if "test_batch.png" in names:
                return _sprites(tar, names)
    except (tarfile.TarError, OSError, EOFError, ValueError, KeyError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise CrossquantError(f"{archive} can't be read: {reason}; delete it and run again") from None
    raise CrossquantError(
        f"{archive} holds no CIFAR-10: neither test_batch.bin nor test_batch.png; delete it and run again"
    )


def hash_arrays(arrays: Arrays) -> dict[str, str]:
    """SHA-256 of each array's raw bytes, in C order."""
    return {name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() for name, array in arrays.items()}


def check_arrays(arrays: Arrays, expected: Mapping[str, str], origin: str) -> None:
    """CrossquantError for the first array whose raw bytes don't have their SHA-256 sum."""
    sums = hash_arrays(arrays)
    for name, sum_expected in expected.items():
        if sums.get(name) != sum_expected:
            raise CrossquantError(
                f"{origin}: {name} has the SHA-256 {sums.get(name, 'of nothing')[:12]}, "
                f"{sum_expected[:12]} is expected: it is another data set, or damaged; delete it and run again"
            )


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    member = tar.extractfile(name)
    if member is None:
        raise KeyError(f"{name} is no file")
    return member


def _binary(tar: tarfile.TarFile, names: dict[str, str]) -> Arrays:
    """Records of one label byte and 3072 image bytes: red, green and blue planes of 32 x 32."""

    def records(name: str) -> NDArray[np.uint8]:
        return np.frombuffer(_member(tar, names[name]).read(), np.uint8).reshape(-1, 1 + 3 * 32 * 32)

    def images(records: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))

    train = np.concatenate([records(f"data_batch_{number}.bin") for number in TRAIN_FILES])
    test = records("test_batch.bin")
    return {
        "x_train": images(train),
        "y_train": train[:, 0].copy(),
        "x_test": images(test),
        "y_test": test[:, 0].copy(),
    }


def _sprites(tar: tarfile.TarFile, names: dict[str, str]) -> Arrays:
    """PNG files with one image a row (1024 pixels, row-major) and JSON lists of labels (so spelt)."""

    from PIL import Image  # noqa: PLC0415 - most commands decode nothing, and would wait for it

    def images(name: str) -> NDArray[np.uint8]:
        pixels = Image.open(BytesIO(_member(tar, names[name]).read())).convert("RGB")
        return np.asarray(pixels).reshape(-1, 32, 32, 3)

    def labels(name: str) -> NDArray[np.uint8]:
        return np.array(json.load(_member(tar, names[name])), np.uint8)

    train = [images(f"data_batch_{number}.png") for number in TRAIN_FILES]
    return {
        "x_train": np.concatenate(train),
        "y_train": labels("train_lables.json"),
        "x_test": images("test_batch.png"),
        "y_test": labels("test_lables.json"),
    }


def write_arrays(folder: Path, arrays: Mapping[str, Any], *, sample: bool) -> None:
    """Write the decoded arrays as every later stage reads them. Of the whole set, any training sample may be drawn."""
    if not sample:
        arrays = {**arrays, "train_indices": np.arange(len(arrays["x_train"]))}
    for name, array in arrays.items():
        np.save(folder / (f"{name}_0.npy" if name.startswith("x_") else f"{name}.npy"), array)
    about = {"name": "cifar10", "sample": sample, "classes": list(CLASSES)}
    (folder / "about.json").write_text(json.dumps(about))
