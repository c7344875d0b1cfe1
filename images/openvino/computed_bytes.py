"""How many bytes of tensors OpenVINO computes for a sample: from the shapes of the graph, which isn't run."""

from pathlib import Path

from images.openvino.session import FILE, batch_of, ov, read
from shared.data.samples import Batch
from shared.measure import sample_bytes


def per_sample(variant: Path, dataset: Path) -> int:
    """Of all tensors of the model in `variant`."""
    return of(read(variant / FILE), dataset)


def of(model: ov.Model, dataset: Path) -> int:
    """0 for a model of a fixed batch, which takes what it takes. `model` is left as it is."""
    return 0 if batch_of(model) else sample_bytes.per_sample(lambda batch: total(model, batch), dataset)


def total(model: ov.Model, batch: Batch) -> int:
    """A size that depends on values counts as 1."""
    sized = model.clone()
    sized.reshape({port: ov.PartialShape(array.shape) for port, array in zip(sized.inputs, batch, strict=True)})
    made = [output for op in sized.get_ops() if op.get_type_name() != "Constant" for output in op.outputs()]
    return sum(size(output) for output in made)


def size(output: ov.Output) -> int:
    shape = output.get_partial_shape()
    if shape.rank.is_dynamic:
        return 0
    count = 1
    for dimension in shape:
        count *= dimension.get_length() if dimension.is_static else 1
    item_bytes: int = output.get_element_type().size
    return count * item_bytes
