"""Writes a variant's answer to every test sample as it is computed."""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np

from shared.contract import encode, read
from shared.data.samples import Array, Batch, batches, count, fitting
from shared.errors import CrossquantError
from shared.measure import instructions
from shared.runner.progress import report

Model = Callable[[Batch], Batch]
BATCH_FILE = "batch.json"


@dataclass(frozen=True)
class BatchSize:
    """`batch.json`: how many samples were answered at a time, and how many bytes the model computes of one."""

    samples: int
    bytes_per_sample: int


def file(number: int) -> str:
    """Return the file name of the array of this output."""
    return f"output_{number}.npy"


def outputs(folder: Path) -> tuple[Path, ...]:
    """The arrays in `folder`, in the order of the model's outputs."""
    return tuple(folder / file(number) for number in range(len(list(folder.glob("output_*.npy")))))


def batch_size(folder: Path) -> BatchSize:
    """Read the batch size of the predictions in `folder`."""
    return read(BatchSize, folder / BATCH_FILE)


def predict(model: Model, dataset: Path, out: Path, batch_size: int, each: int = 0) -> None:
    """Write `output_0.npy` …, (samples, …) float32, in the order of the data set: one array an output of the model;
    and `cpu.json`, the CPU that answered, since the same file may answer otherwise on another one.

    Memory doesn't grow with the number of samples: each batch's answers are written at once; nor with their size, or
    that of what is computed of them, `each` bytes a sample, for which a batch may be smaller than `batch_size`.
    CrossquantError where an answer is not finite, or of another shape than the one before. Beside them `batch.json`.
    """
    total, done = count(dataset), 0
    (out / instructions.FILE).write_text(encode(instructions.this_cpu()))
    size = fitting(dataset, batch_size, each=each)
    (out / BATCH_FILE).write_text(json.dumps(asdict(BatchSize(size, each))))
    with ExitStack() as stack:
        writers: list[Writer] = []
        for batch in batches(dataset, size):
            answers = checked(model(batch), len(batch[0]))
            if not done:
                files = [stack.enter_context((out / file(number)).open("wb")) for number in range(len(answers))]
                writers = [Writer(*pair, total) for pair in zip(files, answers, strict=True)]
            for writer, answer in zip(writers, answers, strict=True):
                writer.add(answer)
            done += len(batch[0])
            report(done, total)


class Writer:
    """Answers, batch after batch, to one `.npy` file."""

    def __init__(self, to: IO[bytes], first: Array, total: int) -> None:
        self.file, self.shape = to, first.shape[1:]
        header = {"descr": "<f4", "fortran_order": False, "shape": (total, *self.shape)}
        np.lib.format.write_array_header_1_0(to, header)

    def add(self, answer: Array) -> None:
        if answer.shape[1:] != self.shape:
            raise CrossquantError(
                f"the model answers {answer.shape[1:]} a sample after {self.shape}: "
                "it must answer every batch in the same shape"
            )
        self.file.write(np.ascontiguousarray(answer, dtype="<f4").tobytes())


def checked(answers: Sequence[Array], samples: int) -> Batch:
    for answer in answers:
        if not answer.ndim or len(answer) != samples:
            raise CrossquantError(
                f"the model answers {answer.shape} to {samples} samples: its first axis must be the samples"
            )
        if not np.isfinite(answer).all():
            raise CrossquantError("the model answers NaN or infinity: look at its weights and ranges")
    return tuple(answers)
