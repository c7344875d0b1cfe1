"""The Keras part by hand: load, draw the calibration images, export with tf2onnx, predict, time.

`python bare_keras.py MODEL DATASET OUT`, in the environment of the keras image.
"""

import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
from numpy.typing import NDArray
from tf2onnx.convert import from_keras

Floats = NDArray[np.float32]
Model = Callable[[Floats], Floats]

THREADS, BATCH = 2, 250
CALIBRATION, SEED = 1000, 0
ROUNDS, CALLS, WARM_UP, MANY = 20, 20, 20, 64


def draw(dataset: Path, out: Path) -> None:
    labels = np.load(dataset / "y_train.npy")
    random = np.random.default_rng(SEED)
    drawn = [random.choice(np.flatnonzero(labels == label), CALIBRATION // 10, replace=False) for label in range(10)]
    images = np.load(dataset / "x_train_0.npy", mmap_mode="r")[np.sort(np.concatenate(drawn))]
    np.save(out / "calibration.npy", images.astype(np.float32))


def export(path: Path, out: Path) -> None:
    loaded = keras.models.load_model(path, compile=False)
    loaded.save(out / "model.keras")
    model = keras.Model(loaded.inputs, loaded.outputs)
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="input_0")]
    converted, _ = from_keras(model, input_signature=signature, opset=17)
    onnx.checker.check_model(converted, full_check=True)
    onnx.save(converted, out / "exported.onnx")


def set_threads(threads: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def load(out: Path) -> Model:
    model = keras.models.load_model(out / "model.keras", compile=False)
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)]
    graph = tf.function(lambda x: model(x, training=False), input_signature=signature)
    return lambda images: graph(tf.constant(images)).numpy()


def predict(dataset: Path, out: Path) -> None:
    model = load(out)
    images = np.load(dataset / "x_test_0.npy", mmap_mode="r")
    answers = [model(images[i : i + BATCH].astype(np.float32)) for i in range(0, len(images), BATCH)]
    np.save(out / "predictions.keras.fp32.npy", np.concatenate(answers))


def latency(dataset: Path, out: Path) -> None:
    set_threads(1)
    model = load(out)
    images = np.load(dataset / "x_test_0.npy", mmap_mode="r")[:MANY].astype(np.float32)
    timed(model, images[:1], WARM_UP)
    timed(model, images, 2)
    rounds = [(timed(model, images[:1], CALLS), timed(model, images, 1)) for _ in range(ROUNDS)]
    (out / "latency.keras.json").write_text(json.dumps({"keras.fp32": rounds}))


def timed(model: Model, images: Floats, calls: int) -> list[float]:
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        model(images)
        seconds.append(time.perf_counter() - start)
    return seconds


def convert_and_predict(path: Path, dataset: Path, out: Path) -> None:
    set_threads(THREADS)
    draw(dataset, out)
    export(path, out)
    predict(dataset, out)


def main() -> None:
    path, dataset, out = map(Path, sys.argv[1:])
    # TensorFlow fixes its threads with the first operator of a process: two for all this, one for the timing.
    first = multiprocessing.get_context("fork").Process(target=convert_and_predict, args=(path, dataset, out))
    first.start()
    first.join()
    if first.exitcode:
        sys.exit(first.exitcode)
    latency(dataset, out)


if __name__ == "__main__":
    main()
