"""Arrays on disk that are larger than memory: written sample by sample, copied block by block."""

from pathlib import Path

import numpy as np

from shared.data import samples
from shared.data.samples import Array, Indices

BLOCK = 1 << 24  # bytes


class NpyWriter:
    """Writes a `.npy` file of samples with the shape and type of `example`; their number is known at the end."""

    def __init__(self, path: Path, example: Array) -> None:
        self.shape, self.dtype, self.count = example.shape, example.dtype, 0
        self.file = path.open("wb", buffering=1 << 20)
        self.write_header()

    def write_header(self) -> None:
        """Of the same length for any number of samples: NumPy leaves space for the first axis to grow."""
        fields = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, fields)

    def append(self, rows: Array) -> None:
        """Append samples: `rows` has them along its first axis."""
        self.file.write(np.ascontiguousarray(rows, self.dtype).data)
        self.count += len(rows)

    def close(self) -> None:
        self.file.seek(0)
        self.write_header()
        self.file.close()

    def __enter__(self) -> "NpyWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def copy_samples(path: Path, indices: Indices, target: Path) -> None:
    """Write the samples `indices` of the array at `path`, in this order, as the array `target`."""
    array = samples.mapped(path)
    with NpyWriter(target, np.empty(array.shape[1:], array.dtype)) as file:
        for block in split_in_blocks(indices, array):
            file.append(samples.mapped(path)[block])


def split_in_blocks(indices: Indices, array: Array) -> list[Indices]:
    """The indices in parts whose samples take at most BLOCK bytes."""
    size = max(1, BLOCK // max(1, array[:1].nbytes))
    return [indices[start : start + size] for start in range(0, len(indices), size)]
