"""Arrays on the disk that are larger than memory: written sample after sample, copied block by block."""

from pathlib import Path

import numpy as np

from shared.data import samples
from shared.data.samples import Array, Indices

BLOCK = 1 << 24  # bytes


class Growing:
    """A `.npy` file of samples of one shape and type, whose number is known at the end."""

    def __init__(self, path: Path, like: Array) -> None:
        self.shape, self.dtype, self.count = like.shape, like.dtype, 0
        self.file = path.open("wb", buffering=1 << 20)
        self.header()

    def header(self) -> None:
        """As long for any number of samples: NumPy leaves space for the first axis to grow."""
        fields = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, fields)

    def add(self, rows: Array) -> None:
        """`rows` has the samples along its first axis."""
        self.file.write(np.ascontiguousarray(rows, self.dtype).data)
        self.count += len(rows)

    def close(self) -> None:
        self.file.seek(0)
        self.header()
        self.file.close()

    def __enter__(self) -> "Growing":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def copy(path: Path, indices: Indices, to: Path) -> None:
    """The samples at these indices of the array at `path`, in this order."""
    like = samples.mapped(path)
    with Growing(to, np.empty(like.shape[1:], like.dtype)) as file:
        for part in blocks(indices, like):
            file.add(samples.mapped(path)[part])


def blocks(indices: Indices, like: Array) -> list[Indices]:
    """Cut so that the samples of each fit BLOCK."""
    size = max(1, BLOCK // max(1, like[:1].nbytes))
    return [indices[start : start + size] for start in range(0, len(indices), size)]
