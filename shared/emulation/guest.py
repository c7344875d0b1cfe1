"""The emulated process: it answers chosen test images for a time, and reports its CPU and its progress as JSON."""

import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from shared.data import samples
from shared.errors import CrossquantError
from shared.measure.predictions import checked
from shared.runner import threads

NAMES = {
    "AVX2": "avx2",
    "AVX512F": "avx512f",
    "AVX512VNNI": "avx512_vnni",
    "ASIMDDP": "asimddp",
}  # NumPy's, the kernel's
BATCH, THREADS = 10, 1


def main(arguments: list[str]) -> None:
    module, variant, dataset, indices, out, seconds, pipe = arguments
    deadline = time.monotonic() + float(seconds)
    about = samples.about(Path(dataset))
    sys.excepthook = Teller(int(pipe)).last_words
    tell = Teller(int(pipe)).tell
    threads.limit(THREADS)
    tell(int8_instructions=int8_instructions())
    model = importlib.import_module(module).load(Path(variant), THREADS)
    chosen = np.load(indices)
    answers = []
    for start in range(0, len(chosen), BATCH):
        batch = samples.take(Path(dataset), chosen[start : start + BATCH])
        answers.append(samples.select_evaluated(checked(model(batch), len(batch[0])), about))
        tell(done=start + len(batch[0]), total=len(chosen))
        if time.monotonic() > deadline:
            break
    np.save(out, np.concatenate(answers))


class Teller:
    """Reports to the process that started this one."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def tell(self, **news: Any) -> None:
        os.write(self.pipe, (json.dumps(news) + "\n").encode())

    def last_words(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Report an uncaught exception as the framework's refusal, unless the system raised it."""
        traceback.print_exception(kind, error, trace)
        name = [] if isinstance(error, CrossquantError) else [kind.__name__]
        if not isinstance(error, OSError | MemoryError):
            self.tell(refused=": ".join([*name, *str(error).strip().splitlines()[:1]])[:300])


def int8_instructions() -> list[str]:
    """Return the 8-bit instructions by CPUID, as numpy.show_runtime() does: /proc/cpuinfo is the host's."""
    features = importlib.import_module("numpy._core._multiarray_umath").__cpu_features__  # it has no types
    return [name for key, name in NAMES.items() if features.get(key)]


if __name__ == "__main__":
    main(sys.argv[1:])
