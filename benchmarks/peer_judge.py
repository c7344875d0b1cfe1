"""Answers and times of every file, in one process.

`python -m benchmarks.peer_judge JOB`, in the environment of the onnx image.
"""

import sys
from pathlib import Path

from benchmarks.peer_evidence import EVIDENCE, Evidence, Job
from images.onnx.session import RUNTIME_ERRORS, load
from shared.contract import encode, read
from shared.data import samples
from shared.errors import CrossquantError
from shared.measure import machine, predictions, timing

BATCH, MANY = 250, 64
THREADS = 1


def main() -> None:
    path = Path(sys.argv[1])
    job: Job = read(Job, path)
    dataset = Path(job.dataset)
    failed = {name: why for name in job.models if (why := predict(Path(job.models[name]), dataset, path.parent / name))}
    if job.reference in failed:
        raise SystemExit(f"{job.reference}: {failed[job.reference]}")
    names = sorted(job.models.keys() - failed.keys(), key=lambda name: (name != job.reference, name))
    models = {name: Path(job.models[name]) for name in names}  # the first one is timed a second time
    many = samples.take(dataset, slice(MANY))
    size = timing.Size(job.rounds, job.calls, MANY)
    with machine.watch() as watch:
        measured = timing.interleaved(models, load, many, size, THREADS)
    timings = timing.Timings(watch.seen, tuple(measured))
    (path.parent / EVIDENCE).write_text(encode(Evidence(failed, timings)))


def predict(model: Path, dataset: Path, out: Path) -> str:
    """Write the model's answers to all test images; in one line why it has none, where it has none."""
    out.mkdir(exist_ok=True)
    try:
        predictions.predict(load(model, THREADS), dataset, out, BATCH)
    except (CrossquantError, *RUNTIME_ERRORS) as error:
        return str(error).strip().splitlines()[0]
    return ""


if __name__ == "__main__":
    main()
