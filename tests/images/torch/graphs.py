"""ONNX models of one operator, and the answers of ONNX's own reference."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Answers = list[np.ndarray]
TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def one(kind: str, x: np.ndarray, *constants: np.ndarray | None, opset: int = 17, **attributes: Any) -> onnx.ModelProto:
    """A node of this kind that reads `x` and the constants; None stands for an input that is left out."""
    names = [f"constant_{place}" if value is not None else "" for place, value in enumerate(constants)]
    outputs = attributes.pop("outputs", 1)
    domain = attributes.pop("domain", "")
    output_names = [f"y_{number}" for number in range(outputs)]
    node = helper.make_node(kind, ["x", *names], output_names, name="layer", domain=domain, **attributes)
    kept = {name: value for name, value in zip(names, constants, strict=True) if value is not None}
    return model([node], x, output_names, kept, opset, domain)


def model(
    nodes: list[onnx.NodeProto],
    x: np.ndarray,
    outputs: list[str],
    constants: dict[str, np.ndarray],
    opset: int = 17,
    domain: str = "",
) -> onnx.ModelProto:
    """The batch is dynamic; shapes are inferred as a folded file has them."""
    takes = helper.make_tensor_value_info("x", TYPES[x.dtype], ("batch", *x.shape[1:]))
    gives = [onnx.ValueInfoProto(name=name) for name in outputs]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "model", [takes], gives, initializers)
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    onnx_model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return onnx.shape_inference.infer_shapes(onnx_model, data_prop=True)


def reference(made: onnx.ModelProto, x: np.ndarray) -> Answers:
    answers: Answers = ReferenceEvaluator(made).run(None, {"x": x})
    return answers


def saved(made: onnx.ModelProto, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    onnx.save(made, folder / "model.onnx")
    return folder


Build = Callable[[], tuple[onnx.ModelProto, np.ndarray]]
