"""The bytes of tensors that LiteRT computes for one sample, from the shapes that it gives them; nothing is run."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from images.litert.session import FILE, read_file, tensor_details
from shared.data.samples import Batch
from shared.measure import sample_bytes


def per_sample(variant: Path, dataset: Path) -> int:
    """The bytes of all tensors of the model in `variant`, for a sample as in `dataset`.

    0 for a model of a fixed batch, whose batch can't be made smaller. LiteRT's own kernels are used: a delegate doesn't
    show the shapes of the operators that it replaces.
    """
    content = read_file(variant / FILE)
    without_delegates = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=without_delegates)
    if any(details["shape_signature"][0] > 0 for details in tensor_details(interpreter, "input")):
        return 0
    return sample_bytes.per_sample(lambda batch: total_bytes(interpreter, batch), dataset)


def total_bytes(interpreter: Interpreter, batch: Batch) -> int:
    """The bytes of all tensors for inputs of these shapes."""
    for details, array in zip(tensor_details(interpreter, "input"), batch, strict=True):
        interpreter.resize_tensor_input(details["index"], array.shape)
    interpreter.allocate_tensors()
    all_details = interpreter.get_tensor_details()
    return sum(int(np.prod(details["shape"])) * np.dtype(details["dtype"]).itemsize for details in all_details)
