"""Counts the bytes of the tensors that OpenVINO computes for a sample, from the shapes of the graph."""

from pathlib import Path

from images.openvino.session import FILE, fixed_batch_size, ov, read_model
from shared.data.samples import Batch
from shared.measure import sample_bytes


def per_sample(variant: Path, dataset: Path) -> int:
    """Return the bytes that the model in `variant` computes for one sample, or 0 if its batch size is fixed."""
    return per_sample_of_model(read_model(variant / FILE), dataset)


def per_sample_of_model(model: ov.Model, dataset: Path) -> int:
    """Return the bytes that `model` computes for one sample, or 0 if its batch size is fixed."""
    return 0 if fixed_batch_size(model) else sample_bytes.per_sample(lambda batch: count_bytes(model, batch), dataset)


def count_bytes(model: ov.Model, batch: Batch) -> int:
    """Return the bytes of all tensors for this batch; a size that depends on values counts as 1."""
    sized = model.clone()
    sized.reshape({port: ov.PartialShape(array.shape) for port, array in zip(sized.inputs, batch, strict=True)})
    outputs = [output for op in sized.get_ops() if op.get_type_name() != "Constant" for output in op.outputs()]
    return sum(count_output_bytes(output) for output in outputs)


def count_output_bytes(output: ov.Output) -> int:
    """Return the bytes of an output, 0 if its rank is unknown."""
    shape = output.get_partial_shape()
    if shape.rank.is_dynamic:
        return 0
    count = 1
    for dimension in shape:
        count *= dimension.get_length() if dimension.is_static else 1
    item_bytes: int = output.get_element_type().size
    return count * item_bytes
