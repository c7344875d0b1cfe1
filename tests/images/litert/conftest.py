"""Fixtures of the tests of the litert image."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from shared.artifacts.store import ROOT


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """What the runner is started with, for the session: TensorFlow fixes its threads with its first operator."""
    from images.litert.keras_source import limit_threads  # noqa: PLC0415 - needs TensorFlow

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        limit_threads()
        yield


@pytest.fixture(scope="session")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default experiment's model, as keras.fp32 has it."""
    folder = tmp_path_factory.mktemp("keras.fp32")
    (folder / "model.keras").write_bytes((ROOT / "driver/models/resnet8-cifar10.keras").read_bytes())
    return folder


@pytest.fixture(scope="session")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of the embedded sample: 200 training images that calibrate, and all test images."""
    from driver.inputs import embedded_sample  # noqa: PLC0415 - needs Pillow, which the driver's environment lends

    arrays = embedded_sample.load()
    folders = {}
    for name, images in (("calibration", arrays["x_train"][:200]), ("dataset", arrays["x_test"])):
        folders[name] = tmp_path_factory.mktemp(name)
        np.save(folders[name] / "input_0.npy", images)
    np.save(folders["dataset"] / "labels.npy", arrays["y_test"].ravel())
    return folders
