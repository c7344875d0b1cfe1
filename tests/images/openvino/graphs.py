"""ONNX files and ONNX Runtime's answers: run in the onnx image's environment, `python -m … FOLDER`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from images.onnx import fold_batchnorm
from images.onnx.session import load
from tests.images import models
from tests.images.onnx import hard

SAMPLES = 60


def nothing(folder: Path) -> Path:
    """No operator that could be quantized."""
    graph = models.Graph()
    graph.add("Mul", graph.constant(1, 8, 8, 3))
    graph.add("ReduceMean", axes=[1, 2], keepdims=0)
    return graph.save(folder, ("batch", 3))


def hard_swish(folder: Path) -> Path:
    """A convolution without a bias, and a number that is added to it."""
    graph = models.Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    convolution = graph.add("Conv", graph.weight(8, 3, 3, 3), pads=[1, 1, 1, 1])
    graph.add("Add", graph.given(np.float32(3)))
    graph.add("Clip", graph.given(np.float32(0)), graph.given(np.float32(6)))
    graph.add("Mul", convolution)
    graph.add("GlobalAveragePool")
    graph.add("Flatten")
    graph.dense(8, 10)
    return graph.save(folder)


def recurrent(folder: Path) -> Path:
    """An LSTM over the rows of the image, one row a step, and a dense layer."""
    graph = models.Graph()
    graph.add("Reshape", graph.integers(0, 8, 24))
    graph.add("Transpose", perm=[1, 0, 2])
    weights = graph.weight(1, 64, 24), graph.weight(1, 64, 16), graph.weight(1, 128)
    graph.add("LSTM", *weights, hidden_size=16)
    graph.add("Gather", graph.given(np.array(-1)), axis=0)
    graph.add("Squeeze", graph.integers(0))
    graph.dense(16, 10)
    return graph.save(folder)


def unknown(folder: Path) -> Path:
    """An operator that no framework has."""
    path = models.convolutional(folder) / models.FILE
    model = onnx.load(path)
    model.graph.node[0].op_type = "Wonder"
    onnx.save(model, path)
    return folder


def two(folder: Path) -> Path:
    """Two inputs of other ranks and types, and two outputs, in an order that is not the alphabet's."""
    random = np.random.default_rng(3)
    weight = numpy_helper.from_array(random.normal(0, 0.3, (6, 4)).astype(np.float32), "weight")
    nodes = [
        helper.make_node("Cast", ["a_second"], ["whole"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["z_first", "weight"], ["product"]),
        helper.make_node("Add", ["product", "whole"], ["z_sum"]),
        helper.make_node("Softmax", ["product"], ["a_soft"]),
    ]
    takes = [
        helper.make_tensor_value_info("z_first", TensorProto.FLOAT, ("batch", 6)),
        helper.make_tensor_value_info("a_second", TensorProto.UINT8, ("batch", 1)),
    ]
    gives = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", 4)) for name in ("z_sum", "a_soft")]
    graph = helper.make_graph(nodes, "two", takes, gives, [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir(parents=True)
    onnx.save(model, folder / models.FILE)
    return folder


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "convolutional": models.convolutional,
    "computed_flatten": models.computed_flatten,
    "outlier": hard.outlier,
    "hard_swish": hard_swish,
    "recurrent": recurrent,
    "nothing": nothing,
    "by_place": models.by_place,
}


def main(target: Path) -> None:
    for name, build in BUILDERS.items():
        exported, folder = build(target / "exported" / name), target / name
        folder.mkdir()
        fold_batchnorm.run(exported, folder, enabled=True)
        ask(folder, (models.images(SAMPLES),))
    random = np.random.default_rng(4)
    first, second = random.normal(0, 1, (SAMPLES, 6)).astype(np.float32), random.integers(0, 9, (SAMPLES, 1), np.uint8)
    ask(two(target / "two"), (first, second))
    (target / "two" / "about.json").write_text(json.dumps({"dtypes": ["float32", "uint8"]}))
    unknown(target / "unknown")
    for number, (name, count) in enumerate({"calibration": 200, "holdout": 1000, "test": 2000}.items()):
        hard.folder(target / name, count, number + 1, np.uint8)


def ask(folder: Path, batch: tuple[np.ndarray, ...]) -> None:
    """Write the batch, and ONNX Runtime's answers to it."""
    for number, array in enumerate(batch):
        np.save(folder / f"input_{number}.npy", array)
    for number, array in enumerate(load(folder, 1)(batch)):
        np.save(folder / f"output_{number}.npy", array)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
