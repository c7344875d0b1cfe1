"""Small seeded Keras models, saved as the artifact keras.fp32, with samples for each."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

from shared.data.samples import Batch, file

Build = Callable[[], keras.Model]


def convolutional() -> keras.Model:
    """BatchNormalization and layers of every kind that a small image model has; ten classes."""
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(16, 3, use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, activation="relu6")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(32, activation="relu")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def two_ends() -> keras.Model:
    """Two inputs and two outputs, whose names sort the other way round."""
    image, row = keras.Input((8, 8, 3), name="zebra"), keras.Input((4,), name="ant")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(image))
    x = layers.Concatenate()([x, layers.Dense(5)(row)])
    return keras.Model([image, row], [layers.Dense(3, activation="softmax", name="z")(x), layers.Dense(3, name="a")(x)])


def recurrent() -> keras.Model:
    steps = keras.Input((9, 3))
    x = layers.LSTM(6, return_sequences=True)(steps)
    return keras.Model(steps, layers.Dense(2)(layers.GRU(5)(x)))


def both_ways() -> keras.Model:
    steps = keras.Input((7, 3))
    return keras.Model(steps, layers.Dense(2)(layers.Bidirectional(layers.LSTM(4))(steps)))


def attention() -> keras.Model:
    tokens = keras.Input((6, 8))
    x = layers.LayerNormalization()(tokens)
    x = layers.Add()([tokens, layers.MultiHeadAttention(2, 4)(x, x)])
    x = layers.Dense(16, activation="gelu")(x)
    return keras.Model(tokens, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def one_dimension() -> keras.Model:
    signal = keras.Input((32, 2))
    return keras.Model(signal, layers.Dense(2)(layers.Flatten()(layers.Conv1D(4, 3, activation="relu")(signal))))


def autoencoder() -> keras.Model:
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(image)
    return keras.Model(image, layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid")(x))


def words() -> keras.Model:
    tokens = keras.Input((5,), dtype="int32")
    return keras.Model(tokens, layers.Dense(2)(layers.Flatten()(layers.Embedding(20, 4)(tokens))))


def pixels() -> keras.Model:
    """Takes uint8, and scales for itself."""
    image = keras.Input((6, 6, 3), dtype="uint8")
    x = layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


def batch_of_four() -> keras.Model:
    row = keras.Input(batch_shape=(4, 6))
    return keras.Model(row, layers.Dense(3)(row))


def sequential() -> keras.Model:
    return keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(3)])


MODELS: tuple[Build, ...] = (
    convolutional,
    two_ends,
    recurrent,
    both_ways,
    attention,
    one_dimension,
    autoencoder,
    words,
    pixels,
    batch_of_four,
    sequential,
)


def save(build: Build, folder: Path) -> keras.Model:
    """Write `model.keras`, its weights seeded, into `folder`, which is made."""
    keras.utils.set_random_seed(0)
    model = build()
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.keras")
    return model


def batch(model: keras.Model, count: int, seed: int = 0) -> Batch:
    """Samples that the model takes."""
    random = np.random.default_rng(seed)
    arrays = []
    for tensor in model.inputs:
        shape, whole = (count, *tensor.shape[1:]), not tensor.dtype.startswith("float")
        values = random.integers(0, 20, shape) if whole else random.normal(size=shape)
        arrays.append(values.astype(tensor.dtype))
    return tuple(arrays)


def answers(model: keras.Model, inputs: Batch) -> Batch:
    """The outputs of Keras itself."""
    size = model.inputs[0].shape[0]
    if size is None:
        outputs = model(list(inputs) if len(inputs) > 1 else inputs[0])
        return tuple(np.asarray(item) for item in keras.tree.flatten(outputs))
    parts = [np.asarray(model(inputs[0][start : start + size])) for start in range(0, len(inputs[0]), size)]
    return (np.concatenate(parts),)


def samples(model: keras.Model, folder: Path, count: int = 40) -> Path:
    """An artifact that holds samples."""
    folder.mkdir(parents=True)
    arrays = batch(model, count, seed=1)
    for number, array in enumerate(arrays):
        np.save(folder / file(number), array)
    dtypes = ", ".join(f'"{array.dtype}"' for array in arrays)
    (folder / "about.json").write_text(f'{{"task": "fidelity", "dtypes": [{dtypes}]}}')
    return folder
