"""The answers of the user's own ONNX file, before anything in it is rewritten: the import must not change them."""

from collections.abc import Sequence
from pathlib import Path

import onnx
import onnxruntime

from images.onnx.graph import trial_inputs
from images.onnx.session import as_model, load, open_session
from shared.data import examples
from shared.data.examples import Example
from shared.data.samples import Batch
from shared.errors import CrossquantError
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
    model = as_model(session)

    def answer(batch: Batch) -> Batch:
        return model(tuple(batch[order.index(number)] for number in range(len(batch))))

    return trial_inputs.answer_example(answer, example)


def check_import(folder: Path, example: Example, tolerance: float, opsets: tuple[int, int]) -> None:
    """Raise CrossquantError if the imported model in `folder` doesn't give the answers of the original."""
    if difference := examples.difference(example, load(folder, 1), tolerance):
        raise CrossquantError(CHANGED.format(difference, *opsets))
