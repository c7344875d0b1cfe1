"""The Keras part by hand: load, draw the calibration images, export with tf2onnx, predict.

`python bare_keras.py WORK DATASET OUT MODEL`, in the environment of the keras image; WORK is the JSON file of
benchmarks/chains.py.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
from tf2onnx.convert import from_keras

ATTEMPTS = 10  # at the export: about one conversion in ten leaves a computed Reshape, which FX can't trace


def draw(dataset: Path, images: int, seed: int, out: Path) -> None:
    """As many images of each class; a sample of the data set has all labels, and the images `train_indices`."""
    labels, kept = np.load(dataset / "y_train.npy"), np.load(dataset / "train_indices.npy")
    random, classes = np.random.default_rng(seed), np.unique(labels)
    each = images // len(classes)
    drawn = [random.choice(np.flatnonzero(labels == label), each, replace=False) for label in classes]
    places = np.searchsorted(kept, np.sort(np.concatenate(drawn)))
    np.save(out / "calibration.npy", np.load(dataset / "x_train_0.npy", mmap_mode="r")[places].astype(np.float32))


def export(loaded: keras.Model, opset: int, path: Path) -> None:
    model = keras.Model(loaded.inputs, loaded.outputs)
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="input_0")]
    for _ in range(ATTEMPTS):
        converted, _ = from_keras(model, input_signature=signature, opset=opset)
        if not any(node.op_type == "Shape" for node in converted.graph.node):
            break
    onnx.checker.check_model(converted, full_check=True)
    onnx.save(converted, path)


def predict(model: keras.Model, dataset: Path, batch: int, out: Path) -> None:
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)]
    graph = tf.function(lambda x: model(x, training=False), input_signature=signature)
    images = np.load(dataset / "x_test_0.npy", mmap_mode="r")
    answers = [
        graph(tf.constant(images[start : start + batch].astype(np.float32))).numpy()
        for start in range(0, len(images), batch)
    ]
    np.save(out / "predictions.keras.fp32.npy", np.concatenate(answers))


def main(work_file: str, dataset: Path, out: Path, path: Path) -> None:
    work = json.loads(Path(work_file).read_text())
    tf.config.threading.set_intra_op_parallelism_threads(work["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(1)
    draw(dataset, work["calibration"]["images"], work["calibration"]["seed"], out)
    model = keras.models.load_model(path, compile=False)
    export(model, work["opset"], out / "exported.onnx")
    predict(model, dataset, work["batch_size"], out)


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
