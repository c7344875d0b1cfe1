"""The memory of the stages with TensorFlow: tf2onnx's copies, and the samples of a batch."""

import gc
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf2onnx
from keras import layers

from images.keras import computed_bytes, export
from images.keras.model import runtime
from images.keras.model.runtime import flatten_ends
from shared.data.samples import COMPUTED, LARGEST
from shared.measure import predictions
from tests.images import declared
from tests.images.keras import keras_models as models
from tests.images.sample_folders import save_samples

FILTERS = 4096


def wide() -> keras.Model:
    """From 768 bytes a sample it makes a feature map of 1 MB, and another one."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(FILTERS, 1, use_bias=False)(inputs)
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(layers.ReLU()(x))))


def shared_layer() -> keras.Model:
    """Sequences whose length the model leaves open."""
    inputs = keras.Input((None, 4))
    return keras.Model(inputs, layers.GlobalMaxPooling1D()(layers.Dense(8)(inputs)))


def make_dataset(folder: Path, *shape: int) -> Path:
    return save_samples(folder, np.random.default_rng(0).integers(0, 256, (300, *shape)).astype(np.uint8))


def test_each_pass_begins_when_the_graph_before_is_gone():
    class Graph:
        """In a cycle with itself, as tf2onnx's graphs are with their nodes."""

        def __init__(self) -> None:
            self.itself = self

    alive = []
    gc.disable()
    try:
        last = None
        for name, _ in export.CollectingPasses(tf2onnx.optimizer._get_optimizers()).items():
            alive.append((name, last is not None and last() is not None))
            last = weakref.ref(Graph())
    finally:
        gc.enable()
    assert [name for name, _ in alive] == [*tf2onnx.optimizer._get_optimizers()]
    assert not any(there for _, there in alive)


def test_the_file_is_that_of_tf2onnxs_own_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model, files = models.save(models.residual, tmp_path / "model"), []
    samples = models.write_samples(models.residual(), tmp_path / "dataset")
    for passes in (export.CollectingPasses, dict):
        monkeypatch.setattr(export, "CollectingPasses", passes)
        out = tmp_path / passes.__name__
        out.mkdir()
        export.run(model, samples, out, opset=17)
        files.append((out / "model.onnx").read_bytes())
    assert files[0] == files[1]


def test_what_is_computed_of_a_sample_is_known_from_shapes(tmp_path: Path):
    """Convolution and ReLU of 8 x 8 x FILTERS, their mean, products and sums of ten."""
    computed = computed_bytes.count_bytes(flatten_ends(wide()), make_dataset(tmp_path / "dataset", 8, 8, 3))
    exact = 4 * (2 * 64 * FILTERS + FILTERS)
    assert exact <= computed < 1.01 * exact


@pytest.mark.parametrize("length", [10, 1000])
def test_sizes_that_a_model_leaves_open_are_the_datas(length: int, tmp_path: Path):
    computed = computed_bytes.count_bytes(flatten_ends(shared_layer()), make_dataset(tmp_path / "dataset", length, 4))
    assert 4 * 8 * length <= computed < 5 * 4 * 8 * length


def test_what_a_called_function_computes_is_counted():
    """As that of a SavedModel is one."""
    inner = tf.function(lambda x: tf.nn.relu(x @ tf.ones((4, 1000))), input_signature=[tf.TensorSpec((None, 4))])
    graph = tf.function(lambda x: inner(x) + 1.0).get_concrete_function(tf.TensorSpec((1, 4))).graph
    assert (
        sum(
            map(
                computed_bytes.tensor_bytes,
                (tensor for item in computed_bytes.computing_operations(graph) for tensor in item.outputs),
            )
        )
        >= 12000
    )


def test_predictions_are_made_in_a_batch_that_fits(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runtime, "limit_threads", lambda _: None)  # TensorFlow has computed in this process
    monkeypatch.setattr("shared.runner.threads.check", lambda *_: None)
    model, data = models.save(wide, tmp_path / "model"), make_dataset(tmp_path / "dataset", 8, 8, 3)
    declared.call("keras", "predict", model, data, out, batch_size=1000)
    recorded = predictions.batch_size(out)
    assert recorded.samples == int(COMPUTED * LARGEST / recorded.bytes_per_sample)
    assert recorded.bytes_per_sample == computed_bytes.count_bytes(flatten_ends(wide()), data)
    monkeypatch.setattr("shared.data.samples.COMPUTED", 5 * recorded.bytes_per_sample / LARGEST)
    whole = np.load(out / "output_0.npy")
    declared.call("keras", "predict", model, data, out, batch_size=1000)
    assert predictions.batch_size(out).samples == 5
    np.testing.assert_allclose(np.load(out / "output_0.npy"), whole, rtol=1e-4, atol=1e-3)
    assert COMPUTED * LARGEST >= 1 << 30
