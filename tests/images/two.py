"""A seeded ONNX graph of two inputs, an image and a second one of integers or floats, and of two outputs."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tests.images.models import FILE, SHAPE, Graph
from tests.images.sample_folders import save_samples

KINDS, FEATURES = 5, 4
SECOND = {  # what the second input is: type and shape of a sample
    "int32": (TensorProto.INT32, ()),
    "int64": (TensorProto.INT64, ()),
    "float32": (TensorProto.FLOAT, (FEATURES,)),
}
OUTPUTS = {"probabilities": 10, "values": 2}


def model(folder: Path, second: str) -> Path:
    """An image through a convolution, a kind through a table or features through a dense layer; then both outputs."""
    graph = Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.add("Conv", graph.weight(8, 3, 3, 3), graph.weight(8))
    graph.add("Relu")
    graph.add("GlobalAveragePool")
    seen = graph.add("Flatten")
    branch = features(graph) if second == "float32" else table(graph)
    graph.add("Concat", branch, source=seen, axis=1)
    graph.add("Gemm", graph.weight(16, 16), graph.weight(16))
    shared = graph.add("Relu")
    graph.add("Gemm", graph.given(4 * graph.random.normal(size=(16, 10)).astype(np.float32)), graph.weight(10))
    graph.add("Softmax")
    graph.nodes[-1].output[0] = "probabilities"
    graph.add("Gemm", graph.weight(16, 2), graph.weight(2), source=shared)
    graph.nodes[-1].output[0] = "values"
    return save(graph, folder, second)


def table(graph: Graph) -> str:
    index = graph.add("Cast", source="second", to=TensorProto.INT64)
    return graph.add("Gather", index, source=graph.weight(KINDS, 8), axis=0)


def features(graph: Graph) -> str:
    graph.add("Gemm", graph.weight(FEATURES, 8), graph.weight(8), source="second")
    return graph.add("Relu")


def save(graph: Graph, folder: Path, second: str) -> Path:
    kind, shape = SECOND[second]
    takes = [("image", TensorProto.FLOAT, SHAPE), ("second", kind, shape)]
    onnx_graph = helper.make_graph(
        graph.nodes,
        "two",
        [helper.make_tensor_value_info(name, kind, ("batch", *shape)) for name, kind, shape in takes],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", size)) for name, size in OUTPUTS.items()],
        graph.constants,
    )
    file = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(file, full_check=True)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(file, folder / FILE)
    return folder


def inputs(count: int, second: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """As they are stored: pixels in 8 bits, kinds in the type of the model."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, *SHAPE)).astype(np.uint8)
    if second == "float32":
        return images, random.normal(size=(count, FEATURES)).astype(np.float32)
    return images, random.integers(0, KINDS, count).astype(second)


def reference(folder: Path, batch: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """Both outputs, by the ONNX project's own evaluator."""
    names = ("image", "second")
    fed = dict(zip(names, (batch[0].astype(np.float32), batch[1]), strict=True))
    return ReferenceEvaluator(str(folder / FILE)).run(None, fed)


def data(path: Path, source: Path, second: str, task: str, count: int, seed: int) -> Path:
    """An artifact of samples, without a manifest, whose labels are what `source` answers: in float it scores 1."""
    batch = inputs(count, second, seed)
    classes, values = reference(source, batch)
    labels = {"classification": classes.argmax(axis=1), "regression": values}.get(task)
    about = {"task": task, "dtypes": ["float32", second], "evaluated_output": int(task == "regression")}
    return save_samples(path, *batch, labels=labels, about=about)
