"""Train the ResNet-8 that the default experiment compares.

Architecture: image classification of MLPerf Tiny (Banbury et al., 2021, https://arxiv.org/abs/2106.07597), which is
the CIFAR ResNet of He et al. (2015, https://arxiv.org/abs/1512.03385) with one block a stack. Schedule: one cycle
(Smith and Topin, 2017, https://arxiv.org/abs/1708.07120); flips alternate from epoch to epoch (Jordan, 2024,
https://arxiv.org/abs/2404.00498). Validation and test set choose nothing: the model has the last epoch's weights.
"""

import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from shared.data.samples import validation_split
from shared.runner.progress import report

CLASSES = 10
SHIFT = 3  # pixels, at most, each way
PEAK_RATE, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 3e-4
WARMUP = 0.2  # share of the steps in which the learning rate rises


def run(source: Path, out: Path, *, epochs: int, batch_size: int, seed: int, validation_images: int) -> None:
    """Write `model.keras` and `history.json` (one entry an epoch, accuracies 0-1) into `out`.

    `source` holds uint8 `x_train_0.npy` (n, 32, 32, 3) and `y_train.npy` (n,). The validation split is drawn from the
    training images, class by class, with `seed`.
    """
    keras.utils.set_random_seed(seed)
    images = np.load(source / "x_train_0.npy", mmap_mode="r")
    labels = np.load(source / "y_train.npy")
    train, validation = validation_split(labels, validation_images, seed)
    batches = Augmented(images[train], labels[train], batch_size, seed)
    held_out = (images[validation].astype(np.float32), labels[validation])

    model = resnet8()
    model.compile(
        optimizer=keras.optimizers.SGD(PEAK_RATE, momentum=MOMENTUM, nesterov=True),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,  # XLA, the default, takes 1.4 times as long on a CPU
    )
    cycle = OneCycle(steps=epochs * len(batches), epochs=epochs)
    history = model.fit(batches, epochs=epochs, verbose=0, validation_data=held_out, callbacks=[cycle, Backup(out)])
    without_optimizer(model).save(out / "model.keras")
    (out / "history.json").write_text(json.dumps(history.history, indent=1))


def resnet8() -> keras.Model:
    """Three stacks of one residual block: 16, 32 and 64 filters, 78,666 parameters.

    Input (n, 32, 32, 3) float32, raw pixels 0-255; output (n, 10) probabilities.
    """
    inputs = keras.Input((32, 32, 3), name="image")
    x = keras.layers.ReLU()(convolution(inputs, 16))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        y = keras.layers.ReLU()(convolution(x, filters, stride))
        y = convolution(y, filters)
        if stride > 1:
            x = keras.layers.Conv2D(filters, 1, stride, padding="same", kernel_initializer="he_normal")(x)
        x = keras.layers.ReLU()(keras.layers.Add()([x, y]))
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(x))
    outputs = keras.layers.Dense(CLASSES, activation="softmax", kernel_initializer="he_normal", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="resnet8")


def convolution(x: keras.KerasTensor, filters: int, stride: int = 1) -> keras.KerasTensor:
    """3x3 convolution and batch normalization; decay is on the kernels alone, as in the paper."""
    decay = keras.regularizers.L2(WEIGHT_DECAY / 2)
    x = keras.layers.Conv2D(
        filters,
        3,
        stride,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=decay,
    )(x)
    return keras.layers.BatchNormalization()(x)


def without_optimizer(model: keras.Model) -> keras.Model:
    """A copy that holds the weights alone, so that loading needs neither optimizer nor schedule."""
    plain = resnet8()
    plain.set_weights(model.get_weights())
    return plain


class Augmented(keras.utils.PyDataset):
    """Shuffled batches of (float32 images, labels), shifted at random and flipped every other epoch."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, batch_size: int, seed: int) -> None:
        super().__init__()
        borders = ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0))
        self.padded = np.pad(images, borders, mode="reflect")
        self.labels, self.batch_size = labels, batch_size
        self.random = np.random.default_rng(seed)
        self.flip_first = self.random.random(len(images)) < 0.5
        self.epoch = -1
        self.order = np.arange(len(labels))  # Keras looks at one batch before the first epoch begins

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size

    def on_epoch_begin(self) -> None:
        self.epoch += 1
        self.order = self.random.permutation(len(self.labels))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        flip = self.flip_first[chosen] ^ bool(self.epoch % 2)
        return self.shift_and_flip(chosen, flip).astype(np.float32), self.labels[chosen]

    def shift_and_flip(self, chosen: np.ndarray, flip: np.ndarray) -> np.ndarray:
        """These images moved by up to SHIFT pixels each way, their borders reflected; flipped where `flip` says."""
        height, width = (size - 2 * SHIFT for size in self.padded.shape[1:3])
        rows = self.random.integers(0, 2 * SHIFT + 1, len(chosen))[:, None] + np.arange(height)
        columns = np.where(flip[:, None], np.arange(width)[::-1], np.arange(width))
        columns = columns + self.random.integers(0, 2 * SHIFT + 1, len(chosen))[:, None]
        crops: np.ndarray = self.padded[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        return crops


class OneCycle(keras.callbacks.Callback):
    """Raise the learning rate to PEAK_RATE over the first steps, then lower it to zero, both linearly.

    A callback, not a LearningRateSchedule object: a custom one would be stored in the model file and break loading.
    """

    def __init__(self, steps: int, epochs: int) -> None:
        super().__init__()
        self.steps, self.epochs, self.step = steps, epochs, 0

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        done = self.step / self.steps
        share = done / WARMUP if done < WARMUP else (1 - done) / (1 - WARMUP)
        self.model.optimizer.learning_rate.assign(PEAK_RATE * max(share, 1e-4))
        self.step += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        report(epoch + 1, self.epochs)


class Backup(keras.callbacks.Callback):
    """Keep the latest weights beside the result while training, so that a long run can be inspected."""

    def __init__(self, out: Path) -> None:
        super().__init__()
        self.path = out / "latest.weights.h5"

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.model.save_weights(self.path)
        tf.print("epoch", epoch + 1, logs)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.path.unlink(missing_ok=True)
