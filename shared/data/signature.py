"""Describes the inputs and outputs of a model, and checks that a data set fits them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shared import detector_outputs, positions
from shared.contract import encode, read_shown
from shared.data import samples
from shared.errors import CrossquantError

FILE = "signature.json"
WHOLE = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)))
NAMED = 20  # classes in a message
BOX, BOX_AXES = 4, 2  # values of a box, and the axes of boxes: candidates and values
MANY = 2  # times as many labels as the model has classes: they may be none
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Tensor:
    """`shape` is that of one sample, without the batch; None where any size will do.

    `seen` is the shape that the samples of the data set have; None where there is no data set.
    """

    name: str
    dtype: str
    shape: Shape
    seen: Shape | None = None


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs in the model's own order. `batch` is its fixed batch size, None if it takes any."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    batch: int | None = None


def write(signature: Signature, folder: Path) -> None:
    (folder / FILE).write_text(encode(signature))


def load(folder: Path) -> Signature:
    return read_shown(Signature, folder / FILE)


def with_sizes(signature: Signature, folder: Path) -> Signature:
    """Return the signature with the shapes of the samples in `folder`, for sizes that the model leaves open."""
    pairs = zip(signature.inputs, samples.inputs(folder), strict=True)
    return replace(
        signature,
        inputs=tuple(replace(tensor, seen=samples.mapped(file).shape[1:]) for tensor, file in pairs),
    )


def check_fits(signature: Signature, about: samples.About, folder: Path) -> None:
    """Raise CrossquantError if the samples in `folder` don't fit the model's inputs, or their labels its outputs."""
    files = samples.inputs(folder)
    if len(files) != len(signature.inputs):
        takes = _listed(signature.inputs)
        raise CrossquantError(f"the model has {len(signature.inputs)} inputs ({takes}), the data set has {len(files)}")
    for number, (tensor, file) in enumerate(zip(signature.inputs, files, strict=True)):
        check_input(tensor, samples.mapped(file), about.declared(number))
    check_label_names(signature, about)
    for described in (about, *(samples.describe_output(about, further) for further in about.further_outputs)):
        number = described.evaluated_output
        if not 0 <= number < len(signature.outputs):
            gives = _listed(signature.outputs)
            raise CrossquantError(f"output {number} is to be evaluated, the model has {gives}: fix `evaluated_output`")
        check_output(signature.outputs[number], signature, described)


def check_label_names(signature: Signature, about: samples.About) -> None:
    """Raise CrossquantError where labels are named as another output of the model than the one they are for."""
    named = [output.name for output in signature.outputs]
    by_output = {about.evaluated_output: about.label} | {item.output: item.name for item in about.further_outputs}
    labels = [by_output[number] for number in sorted(by_output)]
    if all(name not in named or named.index(name) == number for number, name in by_output.items()) or len(named) < 2:
        return
    if len(labels) == 1:
        raise CrossquantError(
            f"the labels are named as output '{about.label}' of the model: set data.evaluated_output: "
            f"{named.index(about.label)}"
        )
    if set(labels) <= set(named):
        pairs = ", ".join(f"{name} is output {named.index(name)}" for name in labels)
        raise CrossquantError(
            f"the labels are named as other outputs of the model, where {pairs}: set data.outputs to these numbers, in "
            "the order of the labels in your data"
        )
    raise CrossquantError(
        f"the model's outputs are named {', '.join(named)}, the labels {', '.join(labels)}: give all of them the "
        "model's names, or none"
    )


def check_input(tensor: Tensor, stored: samples.Array, declared: str) -> None:
    """Raise CrossquantError if an array doesn't fit the input; `declared` is the type that the user declares, or ""."""
    shape = stored.shape[1:]
    if not fits(tensor.shape, shape):
        hint = shape_hint(tensor.shape, shape, is_image=stored.dtype == np.uint8)
        raise CrossquantError(
            f"input '{tensor.name}' of the model takes {_shown(tensor.shape)}, the data set has {_shown(shape)}{hint}"
        )
    if declared and tensor.dtype != declared:
        raise CrossquantError(
            f"input '{tensor.name}' of the model takes {tensor.dtype}, the data set's is declared as {declared}: "
            f"declare {tensor.dtype} for it in data.dtype, or nothing"
        )
    if not declared:
        check_type(tensor, stored)


def check_type(tensor: Tensor, stored: samples.Array) -> None:
    """Raise CrossquantError for values that the input's type can't hold: fractions, or numbers beyond its limits."""
    wanted = np.dtype(tensor.dtype) if tensor.dtype in WHOLE else None
    if wanted is None:
        return  # a float input takes any number
    if stored.dtype.kind == "f":
        raise CrossquantError(
            f"input '{tensor.name}' of the model takes {tensor.dtype}, the data set has {stored.dtype}: "
            f"declare {tensor.dtype} for it in data.dtype if its values are whole numbers"
        )
    low, high = (0, 1) if wanted.kind == "b" else (np.iinfo(wanted).min, np.iinfo(wanted).max)
    if not stored.size or np.can_cast(stored.dtype, wanted):
        return
    least, greatest = int(stored.min()), int(stored.max())
    if least < low or greatest > high:
        raise CrossquantError(
            f"input '{tensor.name}' of the model takes {tensor.dtype}, the data set has {stored.dtype} "
            f"from {least} to {greatest}: fix the data"
        )


def fits(declared: Shape, actual: tuple[int, ...]) -> bool:
    """Can samples of the shape `actual` be given to an input of the shape `declared`?"""
    return len(declared) == len(actual) and all(a in (None, b) for a, b in zip(declared, actual, strict=True))


def shape_hint(declared: Shape, actual: tuple[int, ...], *, is_image: bool) -> str:
    """Name the setting that makes samples of the shape `actual` fit; "" where there is none."""
    if len(actual) >= 2 and (fits(declared, (actual[-1], *actual[:-1])) or fits(declared, (*actual[1:], actual[0]))):
        return ": channels first and last are swapped, set the data's layout"
    if len(declared) == 3 and declared[-1] == 1 and (fits(declared[:2], actual) or fits(declared, (*actual[:2], 1))):
        return ": set data.color: gray"
    same_channels = len(declared) == len(actual) == 3 and declared[-1] == actual[-1] and declared[-1] in (1, 3)
    if is_image and same_channels and None not in declared:
        return f": set data.resize: [{declared[0]}, {declared[1]}]"
    if len(declared) == 3 and declared[-1] == 3 and actual in (declared[:2], (*declared[:2], 1)):
        return ": repeat the gray channel three times in the data"
    if None not in declared and _values(declared) == int(np.prod(actual)):
        return ": the number of values is right, reshape the data"
    return ""


def match_names(signature: Signature, names: Sequence[str]) -> list[int]:
    """Return the number of the model's input for each array of the data, by their names.

    It is the order that they have anyway where no name is one of the model's. CrossquantError where only some are.
    """
    own = [tensor.name for tensor in signature.inputs]
    if len(own) != len(names) or not set(names) & set(own):
        return list(range(len(own)))
    if set(names) != set(own):
        raise CrossquantError(
            f"the model's inputs are named {', '.join(own)}, the data's arrays {', '.join(names)}: give all of them "
            "the model's names, or none"
        )
    return [own.index(name) for name in names]


def describe_pairing(signature: Signature, names: Sequence[str]) -> str:
    """Say which array of the data each of several inputs takes, where their names don't tell; "" where they do."""
    own = [tensor.name for tensor in signature.inputs]
    if len(own) < 2 or list(names) == own:
        return ""
    arrays = names if len(names) == len(own) else [f"array {number}" for number in range(len(own))]
    pairs = ", ".join(f"{name} takes {array}" for name, array in zip(own, arrays, strict=True))
    return f"the inputs take the arrays of the data in their order: {pairs}"


def check_output(output: Tensor, signature: Signature, about: samples.About) -> None:
    """Raise CrossquantError if the output doesn't fit the task: classes, a value per label, or the input's shape."""
    if about.task == "reconstruction" and output.shape != signature.inputs[0].shape:
        inputs = _shown(signature.inputs[0].shape)
        raise CrossquantError(
            f"a reconstruction must have the shape of its input: {inputs}, not {_shown(output.shape)}"
        )
    if about.labels is None or about.task in ("reconstruction", "fidelity"):
        return
    CHECKS.get(about.task, check_values)(output, signature, about, about.labels)


def check_values(output: Tensor, signature: Signature, _about: samples.About, labels: samples.Labels) -> None:
    """Raise CrossquantError if the output hasn't a value for each of a sample's labels."""
    wanted, size = int(np.prod(labels.shape)), _values(output.shape)
    if size is None or wanted == size:
        return
    fitting = [number for number, other in enumerate(signature.outputs) if _values(other.shape) == wanted]
    remedy = f"give {size} values a sample, or the data.task that the model has"
    if len(output.shape) == BOX_AXES and (output.shape[-1] or 0) >= BOX and wanted % (BOX + 1) == 0:
        remedy = "set data.task: detection if the labels are boxes with their classes"
    raise CrossquantError(
        f"the model answers {_shown(output.shape)}, the data set has labels of {_shown((wanted,))}: "
        f"{suggest_output(fitting) or remedy}"
    )


def check_vector(output: Tensor, signature: Signature, _about: samples.About, _labels: samples.Labels) -> None:
    """Raise CrossquantError if the output has no direction: an embedding is a vector."""
    if _values(output.shape) == 1:
        fitting = [number for number, other in enumerate(signature.outputs) if (_values(other.shape) or 0) > 1]
        raise CrossquantError(
            f"the model answers {_shown(output.shape)}, an embedding is a vector of several values: "
            f"{suggest_output(fitting) or 'set the data.task that the model has'}"
        )


def check_classes(output: Tensor, signature: Signature, about: samples.About, labels: samples.Labels) -> None:
    """Raise CrossquantError if the output doesn't have the data's classes, or their numbers differ."""
    classes, least = int(labels.high) + 1, int(labels.low)
    if least < 0:
        raise CrossquantError(f"a label is {least}: classes are counted from 0; set data.label_offset: {least}")
    if not output.shape and output.dtype in WHOLE:
        raise CrossquantError(
            f"output '{output.name}' is a class number, chosen inside of the model: give the model without that last "
            "layer (argmax), or set data.task: fidelity"
        )
    answers = output.shape[0] if len(output.shape) == 1 else None
    known = max(answers or 0, 2)  # one answer is the probability of the second of two classes
    fitting = [
        number for number, other in enumerate(signature.outputs) if other.shape in ((classes,), (len(about.classes),))
    ]
    if len(output.shape) != 1 or (answers is not None and known < classes):
        if answers is not None and least == 1 and classes == known + 1:
            raise CrossquantError(
                f"the labels start at 1, and the model counts its {known} classes from 0: set data.label_offset: 1"
            )
        remedy = "fix the labels" if len(output.shape) == 1 else "set the data.task that the model has"
        if answers is not None and classes > MANY * known:
            remedy += ", or data.task: embedding if labels only say which samples belong together"
        raise CrossquantError(
            f"the model answers {_shown(output.shape)}, the data set has {classes} classes: "
            f"{suggest_output(fitting) or remedy}"
        )
    if about.classes and answers is not None and known != len(about.classes):
        names = ", ".join(about.classes[:NAMED]) + (", …" if len(about.classes) > NAMED else "")
        raise CrossquantError(
            f"the model answers {known} classes, the data names {len(about.classes)} ({names}): list all {known} in "
            "data.classes, in the order of the model's answers"
        )


def check_positions(output: Tensor, _signature: Signature, _about: samples.About, labels: samples.Labels) -> None:
    """Raise CrossquantError if the output hasn't a value for each class at each position that is labelled."""
    shape = tuple(1 if size is None else size for size in output.shape)
    wanted = tuple(1 if size is None else size for size in labels.shape)
    if None in output.shape:
        return  # known when it answers
    try:
        axis = positions.find_class_axis((1, *shape), (1, *wanted))
    except CrossquantError:
        raise CrossquantError(
            f"the model answers {_shown(output.shape)}, the data set has labels of {_shown(labels.shape)}: it must "
            "answer a value for each class at each of these positions; resize the labels, or set data.task: fidelity"
        ) from None
    classes = 2 if axis is None else shape[axis - 1]
    if labels.high >= classes:
        raise CrossquantError(
            f"the model answers {classes} classes at each position, and a label is {labels.high:.0f}: "
            "set data.ignored_label to the label that doesn't count, or data.label_offset to the first class's number"
        )


def check_boxes(_output: Tensor, signature: Signature, about: samples.About, _labels: samples.Labels) -> None:
    """Raise CrossquantError if the outputs can't be read as boxes and scores; what is of unknown size isn't checked."""
    options = about.detection
    assert options is not None  # as of every detection
    shapes = [[size or 0 for size in tensor.shape] for tensor in signature.outputs]
    read = (
        shapes
        if len(shapes) == 1
        else [shapes[number] for number in {options.boxes, options.scores} if number < len(shapes)]
    )
    if all(all(shape) for shape in read):
        outputs = [np.broadcast_to(np.float32(0), (1, *shape)) for shape in shapes]
        detector_outputs.check_outputs(options, outputs, None, len(about.classes))


# What an output must be by the task of its labels; of any other, `check_values`.
CHECKS = {
    "classification": check_classes,
    "segmentation": check_positions,
    "tagging": check_positions,
    "detection": check_boxes,
    "embedding": check_vector,
}


def suggest_output(fitting: Sequence[int]) -> str:
    """Name the first of the outputs that would fit, with the setting that evaluates it; "" where none does."""
    return f"output {fitting[0]} would fit, set data.evaluated_output: {fitting[0]}" if fitting else ""


def _values(shape: Shape) -> int | None:
    sizes = [size for size in shape if size is not None]
    return int(np.prod(sizes)) if len(sizes) == len(shape) else None


def _shown(shape: Shape) -> str:
    return (
        "(" + ", ".join("any" if size is None else str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
    )


def _listed(tensors: tuple[Tensor, ...]) -> str:
    return ", ".join(f"{tensor.name} {_shown(tensor.shape)}" for tensor in tensors)
