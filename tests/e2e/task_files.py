"""A tiny trained model and its data for each task whose labels have a form of their own; run in the environment of the
Keras image: `task_files.py FOLDER`. `right.json` has what Keras and NumPy say of each: the metrics of the test samples.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

TRAIN, TEST = 300, 240
Arrays = dict[str, np.ndarray]
Right = dict[str, float]


def main(folder: Path) -> None:
    right = {}
    for make in (segmentation, tagging, forecasting, two_outputs, detection, embedding):
        keras.utils.set_random_seed(3)
        name = make.__name__
        model, arrays, right[name] = make(np.random.default_rng(5))
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", **arrays)
    (folder / "right.json").write_text(json.dumps(right))


def split(**arrays: np.ndarray) -> Arrays:
    """`x` as `x_train` and `x_test`, `y_boxes` as `y_train.boxes` and `y_test.boxes`."""
    parts = {"train": slice(TRAIN), "test": slice(TRAIN, None)}
    names = {key: key.partition("_") for key in arrays}
    return {
        f"{kind}_{part}{'.' if name else ''}{name}": arrays[key][where]
        for key, (kind, _, name) in names.items()
        for part, where in parts.items()
    }


def draw_squares(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 16, 16, 3) with a square of one of two colours, and masks of three classes; some don't count."""
    count = TRAIN + TEST
    pictures, masks = random.integers(0, 80, (count, 16, 16, 3)), np.zeros((count, 16, 16), np.uint8)
    for number in range(count):
        colour, (top, left) = random.integers(1, 3), random.integers(0, 10, 2)
        masks[number, top : top + 6, left : left + 6] = colour
        pictures[number, top : top + 6, left : left + 6, colour] += 100
    masks[:, 0] = 255
    return pictures.astype(np.uint8), masks


def segmentation(random: np.random.Generator) -> tuple[keras.Model, Arrays, Right]:
    pictures, masks = draw_squares(random)
    inputs = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    skip = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D()(skip)
    x = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
    x = layers.Concatenate()([layers.UpSampling2D()(x), skip])
    model = keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax")(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(ignore_class=255))
    model.fit(pictures[:TRAIN], masks[:TRAIN], epochs=12, batch_size=20, verbose=0)
    counted = masks[TRAIN:] != 255
    answered, label = model.predict(pictures[TRAIN:], verbose=0).argmax(axis=-1)[counted], masks[TRAIN:][counted]
    iou = [((answered == k) & (label == k)).sum() / ((answered == k) | (label == k)).sum() for k in range(3)]
    right = {"miou": float(np.mean(iou)), "pixel_accuracy": float((answered == label).mean())}
    return model, split(x=pictures, y=masks), right


def tagging(random: np.random.Generator) -> tuple[keras.Model, Arrays, Right]:
    """Token ids, and the remainder of each by three; a mask says which tokens are padding."""
    tokens = random.integers(1, 40, (TRAIN + TEST, 10)).astype(np.int32)
    tags = (tokens % 3).astype(np.int32)
    lengths = random.integers(4, 11, (len(tokens), 1))
    present = np.arange(10) < lengths
    tokens, tags = np.where(present, tokens, 0), np.where(present, tags, -100)
    ids, mask = keras.Input((10,), dtype="int32", name="ids"), keras.Input((10,), dtype="int32", name="mask")
    x = layers.Embedding(40, 12)(ids)
    x = layers.Multiply()([x, layers.Reshape((10, 1))(layers.Rescaling(1.0)(mask))])
    model = keras.Model([ids, mask], layers.Dense(3, activation="softmax")(layers.Dense(16, activation="relu")(x)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(ignore_class=-100))
    inputs = [tokens, present.astype(np.int32)]
    model.fit([each[:TRAIN] for each in inputs], tags[:TRAIN], epochs=25, batch_size=20, verbose=0)
    answered = model.predict([each[TRAIN:] for each in inputs], verbose=0).argmax(axis=-1)
    counted = tags[TRAIN:] != -100
    right = {"token_accuracy": float((answered == tags[TRAIN:])[counted].mean())}
    return model, split(x_mask=inputs[1], x_ids=tokens, y=tags), right


def forecasting(random: np.random.Generator) -> tuple[keras.Model, Arrays, Right]:
    waves = np.sin(np.arange(TRAIN + TEST + 30) / 5) + random.normal(0, 0.1, TRAIN + TEST + 30)
    series = np.stack([waves, np.roll(waves, 3)], axis=1).astype(np.float32)
    past = np.stack([series[start : start + 20] for start in range(TRAIN + TEST)])
    future = np.stack([series[start + 20 : start + 24] for start in range(TRAIN + TEST)])
    inputs = keras.Input((20, 2))
    x = layers.Dense(8)(layers.Dense(24, activation="relu")(layers.Flatten()(inputs)))
    model = keras.Model(inputs, layers.Reshape((4, 2))(x))
    model.compile("adam", "mse")
    model.fit(past[:TRAIN], future[:TRAIN], epochs=30, batch_size=20, verbose=0)
    errors = np.abs(model.predict(past[TRAIN:], verbose=0) - future[TRAIN:])
    return model, split(x=past, y=future), {"mae": float(errors.mean())}


def two_outputs(random: np.random.Generator) -> tuple[keras.Model, Arrays, Right]:
    """The corner of the square, and its colour."""
    pictures, masks = draw_squares(random)
    inside = masks[:, 1:] % 255
    colours = inside.max(axis=(1, 2)) - 1
    corners = np.stack([inside.any(axis=2).argmax(axis=1), inside.any(axis=1).argmax(axis=1)], axis=1) / 16
    inputs = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Dense(32, activation="relu")(layers.Flatten()(x))
    corner, colour = layers.Dense(2, name="corner")(x), layers.Dense(2, activation="softmax", name="colour")(x)
    model = keras.Model(inputs, [corner, colour])
    model.compile("adam", ["mse", "sparse_categorical_crossentropy"])
    model.fit(pictures[:TRAIN], [corners[:TRAIN], colours[:TRAIN]], epochs=15, batch_size=20, verbose=0)
    answered = model.predict(pictures[TRAIN:], verbose=0)
    right = {
        "mae": float(np.abs(answered[0] - corners[TRAIN:]).mean()),
        "colour.accuracy": float((answered[1].argmax(axis=1) == colours[TRAIN:]).mean()),
    }
    return model, split(x=pictures, y_corner=corners.astype(np.float32), y_colour=colours), right


def detection(random: np.random.Generator) -> tuple[keras.Model, Arrays, Right]:
    """A grid of 4 x 4 candidates, each with centre, size and two classes; pycocotools is the driver's."""
    pictures, masks = draw_squares(random)
    inside = masks[:, 1:] % 255
    colours = inside.max(axis=(1, 2)).astype(int) - 1
    top, left = inside.any(axis=2).argmax(axis=1) + 1, inside.any(axis=1).argmax(axis=1)
    bottom, right = 16 - inside[:, ::-1].any(axis=2).argmax(axis=1), left + 6
    objects = np.stack([left, top, right, bottom, colours], axis=1).astype(np.float32)[:, None]
    corners = objects[:, 0, :4] / 16
    middle, size = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    boxes = np.repeat(np.concatenate([middle, size], axis=1)[:, None], 16, axis=1).astype(np.float32)
    cell = (np.floor(middle[:, 1] * 4) * 4 + np.floor(middle[:, 0] * 4)).astype(int)
    scores = np.zeros((len(pictures), 16, 2), np.float32)
    scores[np.arange(len(pictures)), cell, colours] = 1
    inputs = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(24, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(24, 3, padding="same", activation="relu")(x)
    seen = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    place = layers.Reshape((16, 4), name="place")(layers.Dense(64, activation="sigmoid")(seen))
    score = layers.Reshape((16, 2), name="score")(layers.Conv2D(2, 1, activation="sigmoid")(x))
    model = keras.Model(inputs, [place, score])
    model.compile("adam", ["mse", "binary_crossentropy"])
    model.fit(pictures[:TRAIN], [boxes[:TRAIN], scores[:TRAIN]], epochs=40, batch_size=20, verbose=0)
    return model, split(x=pictures, y=objects), {}


def embedding(random: np.random.Generator) -> tuple[keras.Model, Arrays, Right]:
    """Noisy samples of 60 kinds, as vectors; recall@1 by brute force."""
    centres = random.normal(size=(60, 12))
    kinds = np.arange(TRAIN + TEST) % 60
    rows = (centres[kinds] + random.normal(0, 0.6, (len(kinds), 12))).astype(np.float32)
    inputs = keras.Input((12,))
    model = keras.Model(inputs, layers.Dense(8)(layers.Dense(32, activation="relu")(inputs)))
    vectors = model.predict(rows[TRAIN:], verbose=0).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = vectors @ vectors.T - 9 * np.eye(TEST)
    right = float((kinds[TRAIN:][near.argmax(axis=1)] == kinds[TRAIN:]).mean())
    return model, split(x=rows, y=kinds), {"recall1": right}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
