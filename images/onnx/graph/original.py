"""The answers of the user's own ONNX file, before anything in it is rewritten: the import must not change them."""

from collections.abc import Sequence
from pathlib import Path

import onnx
import onnxruntime

from images.onnx.session import load, open_session, run_session
from shared.data import examples
from shared.data.examples import Example
from shared.data.samples import Batch
from shared.errors import CrossquantError
from shared.measure.fixed_batch import in_batches_of
from shared.text import first_line

FILE = "original.onnx"
CHANGED = "updating the ONNX file changes its answers: {}; export it again, with an opset from {} to {}"


def open_original(model: onnx.ModelProto, scratch: Path) -> onnxruntime.InferenceSession | None:
    """Open a session for the model as it is now; None if ONNX Runtime can't run it, as some of an old opset."""
    path = scratch / FILE
    try:
        onnx.save(model, path)
        return open_session(path, 1)
    except CrossquantError as error:
        print(f"the file can't be compared with what becomes of it: {first_line(error)}")
        return None
    finally:
        path.unlink(missing_ok=True)


def answer_example(session: onnxruntime.InferenceSession, order: Sequence[int], example: Example) -> Example:
    """Return the example with the answers of the original, whose input `order[k]` takes the k-th array.

    Without answers if it doesn't give a row for each sample, as a file that was saved for batches of another size.
    """
    fixed = next((item.shape[0] for item in session.get_inputs() if item.shape and isinstance(item.shape[0], int)), 0)

    def answer(batch: Batch) -> Batch:
        return run_session(session, tuple(batch[order.index(number)] for number in range(len(batch))))

    model = in_batches_of(fixed, answer) if fixed else answer
    try:
        answers = [model(inputs) for inputs, _ in example.batches()]
    except CrossquantError as error:
        print(f"no answers of the file as it was: {first_line(error)}")
        return example
    rows = zip(answers, example.sizes, strict=True)
    if any(array.shape[:1] != (size,) for outputs, size in rows for array in outputs):
        return example
    return example.with_answers(answers)


def check_import(folder: Path, example: Example, tolerance: float, opsets: tuple[int, int]) -> None:
    """Raise CrossquantError if the imported model in `folder` doesn't give the answers of the original."""
    if difference := examples.difference(example, load(folder, 1), tolerance):
        raise CrossquantError(CHANGED.format(difference, *opsets))
