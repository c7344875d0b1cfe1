"""Small seeded ONNX graphs as tf2onnx leaves Keras models: NHWC input, BatchNormalization as Mul and Add."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = (8, 8, 3)
FILE = "model.onnx"


def images(count: int) -> np.ndarray:
    """(count, *SHAPE) float32, raw pixels 0-255; the first of more images are those of fewer."""
    return np.random.default_rng(1).integers(0, 256, (count, *SHAPE)).astype(np.float32)


class Graph:
    """Nodes one after the other, from `image`, scaled to 0-1, to `probabilities`; constants come from one seed."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.last = "image"
        self.add("Mul", self.given(np.float32(1 / 255)))

    def constant(self, *shape: int) -> str:
        """A float constant of this shape; positive and not far from 1, so that a Mul keeps the range."""
        return self.given(self.random.uniform(0.5, 1.5, shape).astype(np.float32))

    def weight(self, *shape: int) -> str:
        return self.given(self.random.normal(0, 0.2, shape).astype(np.float32))

    def given(self, values: np.ndarray) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def integers(self, *values: int) -> str:
        return self.given(np.array(values, np.int64))

    def add(self, kind: str, *more: str, source: str | None = None, **attributes: object) -> str:
        """A node that reads `source` (default: what the node before made) and `more`; the name of its output."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [source or self.last, *more], [name], name=name, **attributes))
        self.last = name
        return name

    def convolution(self, inputs: int, outputs: int) -> None:
        """Conv with a bias, then BatchNormalization as Keras 3 leaves it, then Relu; tensors are NCHW."""
        self.add("Conv", self.weight(outputs, inputs, 3, 3), self.weight(outputs), pads=[1, 1, 1, 1])
        self.add("Mul", self.constant(1, outputs, 1, 1))
        self.add("Add", self.constant(1, outputs, 1, 1))
        self.add("Relu")

    def dense(self, inputs: int, outputs: int) -> None:
        self.add("Gemm", self.weight(inputs, outputs), self.weight(outputs))

    def save(
        self, folder: Path, answer: tuple[int | str, ...] = ("batch", 10), opset: int = 17, batch: int | str = "batch"
    ) -> Path:
        """Write FILE into `folder`, made if it is not there, and return the folder: an artifact without a manifest."""
        self.nodes[-1].output[0] = "probabilities"
        takes = helper.make_tensor_value_info("image", TensorProto.FLOAT, (batch, *SHAPE))
        gives = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, answer)
        graph = helper.make_graph(self.nodes, "model", [takes], [gives], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(model, folder / FILE)
        return folder


def convolutional(folder: Path) -> Path:
    """Two convolutions and a dense layer, with everything that is to be folded."""
    graph = Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.convolution(3, 8)
    graph.convolution(8, 8)
    graph.add("GlobalAveragePool")
    graph.add("Flatten")
    graph.dense(8, 10)
    graph.add("Softmax")
    return graph.save(folder)


def wide(folder: Path, channels: int) -> Path:
    """One convolution of many channels: of a small image it computes much, with few weights."""
    graph = Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.add("Conv", graph.weight(channels, 3, 1, 1), graph.weight(channels))
    graph.add("Relu")
    graph.add("GlobalAveragePool")
    graph.add("Flatten")
    graph.dense(channels, 10)
    return graph.save(folder)


def by_place(folder: Path) -> Path:
    """It adds to each place of a batch of four what is only there: it takes no other number of samples."""
    graph = Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.convolution(3, 4)
    graph.add("GlobalAveragePool")
    graph.add("Flatten")
    graph.add("Add", graph.weight(4, 4))
    graph.dense(4, 10)
    return graph.save(folder, (4, 10), batch=4)


def computed_flatten(folder: Path) -> Path:
    """Flatten as tf2onnx leaves it after MaxPool: its target is Shape, Slice and Concat."""
    graph = Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.convolution(3, 4)
    graph.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    pooled = graph.add("Transpose", perm=[0, 2, 3, 1])
    graph.add("Shape")
    graph.add("Slice", graph.integers(0), graph.integers(1))
    target = graph.add("Concat", graph.integers(64), axis=0)
    graph.add("Reshape", target, source=pooled)
    graph.dense(64, 10)
    graph.add("Softmax")
    return graph.save(folder)


def zero_dimension(folder: Path) -> Path:
    """Reshape to (0, -1): the 0 stands for the size that is there, the batch."""
    graph = Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.convolution(3, 4)
    graph.add("Reshape", graph.integers(0, -1))
    graph.dense(256, 10)
    return graph.save(folder)


def two_unknown(folder: Path) -> Path:
    """Reshape whose result has two dimensions that inference can't know: (batch, pixels, 3)."""
    graph = Graph()
    graph.add("Shape")
    batch = graph.add("Slice", graph.integers(0), graph.integers(1))
    ones = graph.add("Cast", to=TensorProto.INT64, source=graph.given(np.array([-1.0], np.float32)))
    target = graph.add("Concat", ones, graph.integers(3), source=batch, axis=0)
    graph.add("Reshape", target, source="image")
    return graph.save(folder, ("batch", "pixels", 3))


def only(kind: str, folder: Path, **attributes: object) -> Path:
    """One convolution, then one node of this kind, without more inputs than the tensor, then a dense layer."""
    graph = Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.convolution(3, 4)
    graph.add(kind, **attributes)
    graph.add("Flatten")
    graph.dense(4, 10)
    return graph.save(folder)
