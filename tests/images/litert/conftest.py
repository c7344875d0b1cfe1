"""Fixtures of the tests of the litert image."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.sample_folders import save_samples


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """What the runner is started with, for the session: TensorFlow fixes its threads with its first operator."""
    from images.litert.keras_source import limit_threads  # noqa: PLC0415 - needs TensorFlow

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        limit_threads()
        yield


@pytest.fixture(scope="session")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of the embedded sample: 200 training images that calibrate, and all test images."""
    from driver.inputs import embedded_sample  # noqa: PLC0415 - needs Pillow, which the driver's environment lends

    arrays = embedded_sample.load()
    return {
        "calibration": save_samples(tmp_path_factory.mktemp("calibration"), arrays["x_train"][:200]),
        "dataset": save_samples(tmp_path_factory.mktemp("dataset"), arrays["x_test"], labels=arrays["y_test"].ravel()),
    }
