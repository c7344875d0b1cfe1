"""What a newcomer might bring, good and bad; run in the Keras image's environment: `own_files.py FOLDER`."""

import pickle
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np

LAYERS = """
import keras

@keras.saving.register_keras_serializable("mine")
class Scaled(keras.layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.factor
"""
LOADER = """
import numpy as np

def samples(split):
    random = np.random.default_rng({"train": 1, "test": 2}[split])
    for _ in range({"train": 150, "test": 90}[split]):
        picture, numbers = random.random((8, 8, 1), np.float32), random.random(5, np.float32)
        yield (picture, numbers), [picture.mean(), numbers.sum()]
"""
CLASSES = ("<b>bold</b>", "b, c", "ümlaut")


def main(folder: Path) -> None:
    keras.utils.set_random_seed(7)
    table(folder)
    two_inputs(folder)
    bad(folder)


def table(folder: Path) -> None:
    """A trained classifier of three classes with awkward names, and its data as CSV; names with spaces and umlauts."""
    random = np.random.default_rng(3)
    rows = random.normal(size=(1600, 8)).astype(np.float32)
    labels = (rows @ random.normal(size=(8, 3))).argmax(axis=1)
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(32, "relu"), keras.layers.Dense(3)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(rows[:1000], labels[:1000], epochs=12, verbose=0)
    model.save(folder / "mein modell ü.keras")
    (folder / "données à moi").mkdir()
    for split, where in (("train", slice(1000)), ("test", slice(1000, None))):
        lines = [
            ",".join([*map(repr, map(float, row)), f'"{CLASSES[label]}"'])
            for row, label in zip(rows[where], labels[where], strict=True)
        ]
        head = ",".join([*(f"f{number}" for number in range(8)), "class"])
        (folder / "données à moi" / f"{split}.csv").write_text("\n".join([head, *lines]) + "\n")


def two_inputs(folder: Path) -> None:
    """A regression of two numbers from a grey picture and five numbers, with a layer of the user's."""
    scope: dict = {}
    exec(LAYERS, scope)  # the very file that the user gives beside the model
    (folder / "my_layers.py").write_text(LAYERS)
    picture, numbers = keras.Input((8, 8, 1), name="picture"), keras.Input((5,), name="numbers")
    seen = keras.layers.Conv2D(8, 3, activation="relu")(picture)
    seen = keras.layers.GlobalAveragePooling2D()(seen)
    both = keras.layers.Concatenate()([seen, scope["Scaled"](name="scaled")(numbers)])
    keras.Model([picture, numbers], keras.layers.Dense(2)(keras.layers.Dense(16, "relu")(both))).save(
        folder / "two.keras"
    )
    (folder / "pairs").mkdir()
    (folder / "pairs" / "load_data.py").write_text(LOADER)


def bad(folder: Path) -> None:
    inputs = keras.Input((8,))
    halved = keras.layers.Lambda(lambda x: x / 2, name="halve")(inputs)
    keras.Model(inputs, keras.layers.Dense(3)(halved)).save(folder / "lambda.keras")
    (folder / "pickle.keras").write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    whole = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    whole.save(folder / "whole.h5")
    content = (folder / "whole.h5").read_bytes()
    (folder / "short.h5").write_bytes(content[: len(content) // 2])
    keras.Sequential([keras.Input((9,)), keras.layers.Dense(3)]).save(folder / "nine.keras")
    keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)]).save(folder / "pair.keras")
    with zipfile.ZipFile(folder / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", b" " * (1 << 30))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
