"""What a Keras model is, and what tf2onnx makes of it: no data needed."""

from pathlib import Path

import keras
import onnx

from images.keras import export
from images.keras.load import keep
from images.keras.model.runtime import open_model, signature, trace
from shared.compatibility import Inspection, Leg, counted, write
from shared.errors import Unsupported


def run(source: Path, out: Path, *, trust: bool, opset: int) -> None:
    """Write `compatibility.json`, and `model.onnx` if tf2onnx can convert the model; the model itself stays out."""
    keep(source, out, trust)
    model = open_model(out)
    found = Inspection(
        signature=signature(model, trace(model).batch),
        parameters=model.count_params(),
        size=sum(path.stat().st_size for path in out.rglob("model.*") if path.is_file()),
        layers=counted(type(layer).__name__ for layer in layers_of(model)),
    )
    write(converted(model, opset, found, out), out)


def layers_of(model: keras.Model) -> list[keras.layers.Layer]:
    """All that compute, those in models inside of the model too."""
    every = model._flatten_layers(include_self=False)
    return [layer for layer in every if not isinstance(layer, keras.Model | keras.layers.InputLayer)]


def converted(model: keras.Model, opset: int, found: Inspection, out: Path) -> Inspection:
    """`found`, with what tf2onnx makes of the model."""
    about = {name: getattr(found, name) for name in ("signature", "parameters", "size", "layers")}
    try:
        graph, notes = export.convert(model, opset)
        export.check(graph)
    except Unsupported as error:
        return Inspection(**about, legs=(Leg("tf2onnx", reason=str(error)),))
    onnx.save(graph, out / "model.onnx")
    operators = counted(node.op_type for node in export.every_node(graph.graph))
    return Inspection(**about, operators=operators, legs=(Leg("tf2onnx", all=True),), notes=tuple(notes))
