"""The data check with a real model: a preprocessing that the model wasn't trained on gives a warning."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from driver.inputs import embedded_sample
from images.keras import calibration, dataset, labels
from shared.artifacts import store
from shared.contract import MANIFEST_SCHEMA, Manifest, encode, read
from shared.data import data_report, leakage, samples
from shared.data.data_report import DataReport
from shared.errors import CrossquantError
from tests.images.keras.data_makers import DEFAULTS, User

IMAGES = 600  # images of the sample
CHECK = """
import sys
from pathlib import Path
from tests.images import declared
declared.call("keras", "check", *map(Path, sys.argv[1:]), samples=300)
"""  # in a process of its own, as a stage is: TensorFlow fixes its threads with the first operator


@pytest.fixture(scope="module")
def cifar() -> dict[str, np.ndarray]:
    """Real images with their labels, a part of each set."""
    arrays = embedded_sample.load()
    train = {"x_train": arrays["x_train"][:IMAGES], "y_train": arrays["y_train"][arrays["train_indices"][:IMAGES]]}
    some = np.random.default_rng(0).permutation(len(arrays["x_test"]))[:IMAGES]
    return train | {"x_test": arrays["x_test"][some], "y_test": arrays["y_test"][some]}


def check_data(user: User, model: Path, **options: object) -> DataReport:
    """What `check` says of the user's arrays, prepared with these options, published as the stage runner does."""
    prepared = user.run("npz", **options)
    values = DEFAULTS | options
    manifest = Manifest(MANIFEST_SCHEMA, "data", "ok", "", {}, {}, "", values, {}, "", 0.0, 0)
    (prepared / store.MANIFEST).write_text(encode(manifest))
    folders = [prepared.parent / f"{prepared.name}-{name}" for name in ("dataset", "labels", "check")]
    for folder in folders:
        folder.mkdir()
    dataset.run(prepared, folders[0])
    labels.run(prepared, folders[1])
    command = [sys.executable, "-c", CHECK, prepared, folders[0], folders[1], model, folders[2]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "2"}
    subprocess.run(command, check=True, env=environment)
    return read(DataReport, folders[2] / data_report.FILE)


@pytest.mark.parametrize(
    ("options", "flagged"),
    [
        ({}, None),
        ({"scale": 1 / 255}, "0 to 255"),
        ({"color": "bgr", "scale": 1 / 255}, "0 to 255"),
    ],
    ids=["as trained", "divided by 255", "BGR and divided"],
)
def test_pixels_that_the_model_was_not_trained_on(
    user: User, resnet: Path, cifar: dict, options: dict, flagged: str | None
):
    user.npz(**cifar)
    data_summary = check_data(user, resnet, **options)
    assert data_summary.wrong == ()
    assert (data_summary.preprocessing.samples, len(data_summary.classes)) == (300, 10)
    warnings = [text for text in data_summary.warnings if text.startswith("prepared as ")]
    if flagged is None:
        assert data_summary.preprocessing.declared > 0.8
        assert warnings == []
    else:
        assert data_summary.preprocessing.declared < 0.3
        [text] = warnings
        assert text.startswith(f"prepared as '{flagged}' the data scores 8")


def test_the_sets_of_a_users_data_are_drawn_and_their_labels_kept_apart(user: User, cifar: dict):
    user.npz(**cifar)
    prepared = user.run("npz")
    folders = {name: prepared.parent / name for name in ("dataset", "labels", "calibration")}
    for folder in folders.values():
        folder.mkdir()
    dataset.run(prepared, folders["dataset"])
    labels.run(prepared, folders["labels"])
    calibration.run(prepared, folders["calibration"], images=100, seed=0)
    drawn = json.loads((folders["calibration"] / "manifest.json").read_text())["indices"]
    assert (np.load(folders["calibration"] / "input_0.npy") == cifar["x_train"][drawn]).all()
    assert (np.load(folders["dataset"] / "input_0.npy") == cifar["x_test"]).all()
    assert sorted(path.name for path in folders["dataset"].iterdir()) == ["about.json", "input_0.npy"]
    assert (np.load(folders["labels"] / "labels.npy") == cifar["y_test"].ravel()).all()
    assert samples.about(folders["dataset"]).labels == samples.Labels((), 0, 9), "all that is warnings of them"


def test_calibration_reads_the_digests_that_were_made_with_the_arrays(user: User, cifar: dict):
    cifar = {**cifar, "x_test": cifar["x_test"].copy()}
    cifar["x_test"][7] = cifar["x_train"][5]
    user.npz(**cifar)
    prepared, out = user.run("npz"), user.source.parent / "calibration"
    digests = leakage.compute_digests([prepared / "x_train_0.npy"])
    assert (np.load(prepared / leakage.file("train")) == digests).all()
    out.mkdir()
    with pytest.raises(CrossquantError, match=r"1 of the 600 training samples of calibration .*: 5 = 7\)"):
        calibration.run(prepared, out, images=600, seed=0)
