"""How many bytes of tensors LiteRT computes for a sample: from the shapes that it gives them, nothing is run."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from images.litert.session import FILE, read, tensors
from shared.data.samples import Batch
from shared.measure import sample_bytes


def per_sample(variant: Path, dataset: Path) -> int:
    """Of all tensors of the model in `variant`; 0 for one of a fixed batch, which takes what it takes.

    By LiteRT's own kernels: a delegate would keep the shapes of what it took over to itself.
    """
    content = read(variant / FILE)
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=plain)
    if any(details["shape_signature"][0] > 0 for details in tensors(interpreter, "input")):
        return 0
    return sample_bytes.per_sample(lambda batch: total(interpreter, batch), dataset)


def total(interpreter: Interpreter, batch: Batch) -> int:
    for details, array in zip(tensors(interpreter, "input"), batch, strict=True):
        interpreter.resize_tensor_input(details["index"], array.shape)
    interpreter.allocate_tensors()
    found = interpreter.get_tensor_details()
    return sum(int(np.prod(details["shape"])) * np.dtype(details["dtype"]).itemsize for details in found)
