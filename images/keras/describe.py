"""What a Keras model consists of, and the ONNX file that tf2onnx writes of it; no data is needed."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import keras
import onnx

from images.keras import export
from images.keras.load import UNTRACEABLE, can_be_traced, store_model
from images.keras.model import sizes
from images.keras.model.runtime import model_signature, open_model, trace_model
from shared.compatibility import Compatibility, FrameworkSupport, count_names, write
from shared.errors import CrossquantError, Unsupported

GUESSED = "sizes that the model leaves open were tried as {}: only your data tell what they are"


def run(source: Path, out: Path, *, trust: bool, opset: int) -> None:
    """Write `compatibility.json` and the model; also `model.onnx`, if tf2onnx can convert it.

    CrossquantError where `source` holds no model, or one that must not be opened.
    """
    notes = store_model(source, out, trust)
    model = open_model(out)
    if not can_be_traced(model):
        model = guess_sizes(model)
        notes.append(GUESSED.format(sizes.describe_shapes(model)))
    batch = trace_model(model).batch
    inspection = Compatibility(
        signature=model_signature(model, batch),
        parameters=model.count_params(),
        size=sum(path.stat().st_size for path in out.rglob("model.*") if path.is_file()),
        layers=count_names(type(layer).__name__ for layer in computing_layers(model)),
    )
    write(add_conversion(replace(inspection, notes=tuple(notes)), model, batch, opset, out), out)


def guess_sizes(model: keras.Model) -> keras.Model:
    """The model for the first sizes that Keras can trace it for, in the place of those that it leaves open."""
    for size in sizes.GUESSES:
        with suppress(*UNTRACEABLE):
            guessed = sizes.with_shapes(model, sizes.guess_shapes(model, size))
            trace_model(guessed)
            return guessed
    raise CrossquantError("Keras can't trace the model: it leaves sizes open and takes none of those that were tried")


def computing_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """All layers that compute, also those of models inside of the model."""
    layers = model._flatten_layers(include_self=False)
    return [layer for layer in layers if not isinstance(layer, keras.Model | keras.layers.InputLayer)]


def add_conversion(
    inspection: Compatibility, model: keras.Model, batch: int | None, opset: int, out: Path
) -> Compatibility:
    """Convert the model to `model.onnx` in `out`, and add the ONNX operators to `inspection`, or the reason why not."""
    try:
        export.check_size(model)
        graph, notes = export.convert(model, opset, batch)
        export.check_model(graph)
    except Unsupported as error:
        return replace(inspection, support=(FrameworkSupport("tf2onnx", reason=str(error)),))
    onnx.save(graph, out / "model.onnx")
    operators = count_names(node.op_type for node in export.all_nodes(graph.graph))
    return replace(
        inspection,
        operators=operators,
        support=(FrameworkSupport("tf2onnx", all=True),),
        notes=(*inspection.notes, *notes),
    )
