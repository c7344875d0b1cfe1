"""Every experiment that ships, whole, in every engine; files of Keras 2 from the first command to the comparison."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from composing import Compose
from conftest import DEFAULT, Done, Driver, Finish, Finished

from driver.engines.venv import ensure_environment
from driver.inputs import fetching
from shared.artifacts.store import MANIFEST, ROOT, volumes

SHIPPED = sorted(path.stem for path in DEFAULT.parent.glob("*.yaml"))
FLOATS = ("keras.fp32", "onnx.fp32", "torch.fp32")
ANSWERS = ["labels", *(f"predictions.{name}" for name in FLOATS)]
MLPERF, FILE = "mlperf-tiny", "pretrainedResnet.h5"
PLACES = (volumes() / "inputs" / FILE, ROOT.parent / "shared" / "reference" / FILE)
NO_FILE = f"the model of MLPerf Tiny is not here: put it at volumes/inputs/{FILE}"
NO_DATA = "the full CIFAR-10 is not here: `make data` brings it where a source answers"


def give_model(to: Path) -> None:
    """The file where the experiment `mlperf-tiny` looks for it first."""
    model = next((path for path in PLACES if path.exists()), None)
    if model is None:
        pytest.skip(NO_FILE)
    (to / "inputs").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, to / "inputs" / FILE)


def give_data(to: Path) -> bool:
    """The full data set as `fetch` left it in this checkout, under a second name; False where it isn't."""
    full = volumes() / "inputs" / "cifar10"
    if not fetching.is_kept(full):
        return False
    try:
        shutil.copytree(full, to / "inputs" / "cifar10", copy_function=os.link)
    except (shutil.Error, OSError):  # another disk
        shutil.copytree(full, to / "inputs" / "cifar10", dirs_exist_ok=True)
    return True


@pytest.fixture(scope="module")
def whole(finish: Finish, tmp_path_factory: pytest.TempPathFactory) -> Finish:
    """Run a shipped experiment on the sample by an engine; once. The default one is run by other tests too."""

    @cache
    def run(name: str, engine: str) -> Finished:
        if name == DEFAULT.stem:
            return finish(engine)
        driver = Driver(tmp_path_factory.mktemp(name) / "volumes", engine)
        if name == MLPERF:
            give_model(driver.volumes)
        return Finished(driver, driver.run("--experiment", name))

    return run


RUNS = [
    pytest.param(name, engine, marks=[pytest.mark.docker] if engine == "docker" else [])
    for name in SHIPPED
    for engine in ("venv", "docker")
    if name != DEFAULT.stem
]
RUNS += [pytest.param(DEFAULT.stem, "venv"), pytest.param(DEFAULT.stem, "docker", marks=pytest.mark.docker)]


@pytest.mark.parametrize(("name", "engine"), RUNS)
def test_an_experiment_that_ships(name: str, engine: str, whole: Finish) -> None:
    driver, done = (finished := whole(name, engine)).driver, finished.done
    assert done.exit_code == 0, done.stdout + done.stderr
    comparison, rows = driver.comparison(name), driver.rows(name)
    assert all(gate["holds"] for gate in comparison["gates"])
    assert [row for row, fields in rows.items() if fields["status"] != "ok"] == ["torch.uint8"]
    assert {rows[row]["agreement"] for row in FLOATS} == {1.0}
    assert comparison["decision"]["variant"]
    assert f"written to {driver.volumes / name / 'comparison'}/" in done.stdout


def accuracy(driver: Driver, variant: str) -> float:
    """In percent, from the answers themselves."""
    answers = np.load(driver.folder(f"predictions.{variant}", variant.partition(".")[0], MLPERF) / "output_0.npy")
    labels = np.load(driver.folder("labels", "keras", MLPERF) / "labels.npy")
    assert len(answers) == len(labels) == 10_000
    return round(100 * float((answers.argmax(axis=1) == labels).mean()), 2)


@pytest.mark.docker
def test_the_model_of_mlperf_tiny_on_all_test_images(whole: Finish) -> None:
    driver = whole(MLPERF, "docker").driver
    if not give_data(driver.volumes):
        pytest.skip(NO_DATA)
    done = driver("run", "--engine", "docker", "--experiment", MLPERF, *ANSWERS)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert {name: accuracy(driver, name) for name in FLOATS} == dict.fromkeys(FLOATS, 87.19)


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    compose = Compose(tmp_path_factory.mktemp("experiments"))
    yield compose
    compose("down")


@pytest.mark.docker
def test_the_model_of_mlperf_tiny_by_compose(compose: Compose) -> None:
    """On all test images where they are: 87.19 % in all three frameworks."""
    give_model(compose.driver.volumes)
    full = give_data(compose.driver.volumes)
    done = compose("up", "--no-color", "--abort-on-container-failure", EXPERIMENT=MLPERF, SAMPLE="" if full else "1")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert all(gate["holds"] for gate in compose.driver.comparison(MLPERF)["gates"])
    if not full:
        pytest.skip(NO_DATA)
    assert {name: accuracy(compose.driver, name) for name in FLOATS} == dict.fromkeys(FLOATS, 87.19)
    rows = compose.driver.rows(MLPERF)
    assert {name: round(100 * rows[name]["accuracy"], 2) for name in FLOATS} == dict.fromkeys(FLOATS, 87.19)


LOSS_ALLOWED = (0, 1)  # 1: a model with random weights may lose more in 8 bits than the gate of `new` allows
KERAS_2 = """
import sys
from pathlib import Path
import keras, numpy as np
from keras import layers
from tests.images.keras import keras2_files
folder, random = Path(sys.argv[1]), np.random.default_rng(0)
keras.utils.set_random_seed(0)
inputs = keras.Input((8, 8, 4), name="image")
x = layers.Conv2D(8, 3, activation="relu")(layers.DepthwiseConv2D(3, padding="same")(inputs))
x = layers.BatchNormalization()(layers.SpatialDropout2D(0.1)(x))
model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
keras2_files.save(model, folder / "old.h5")
x = random.normal(size=(400, 8, 8, 4)).astype("f")
y = model.predict(x, verbose=0).argmax(axis=1)
np.savez(folder / "data.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of Keras 2.8 with what Keras 3 refuses, and data of which it knows every label."""
    folder = tmp_path_factory.mktemp("old")
    done = subprocess.run(
        [ensure_environment("keras"), "-c", KERAS_2, folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def new(driver: Driver, old: Path, *more: str) -> Done:
    """By the short form of the command: the experiment is called as the model."""
    return driver("new", "--model", str(old / "old.h5"), "--data", str(old / "data.npz"), *more)


def test_a_file_of_keras_2_without_docker(old: Path, tmp_path: Path) -> None:
    driver = Driver(tmp_path / "volumes")
    assert new(driver, old, "--engine", "venv").exit_code == 0
    done = driver("run", "--engine", "venv", "--experiment", "old", *ANSWERS)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert right(driver) == dict.fromkeys(FLOATS, 200)


@pytest.mark.docker
def test_a_file_of_keras_2_in_docker_and_by_compose(old: Path, compose: Compose) -> None:
    """The inputs are mounted read-only there. Compose makes again what comes of the model file."""
    driver = compose.driver
    creation = new(driver, old)
    assert creation.exit_code == 0, creation.stdout + creation.stderr
    assert "next:    ./crossquant run --experiment old" in creation.stdout
    done = driver("run", "--engine", "docker", "--experiment", "old")
    assert done.exit_code in LOSS_ALLOWED, done.stdout + done.stderr
    assert right(driver) == dict.fromkeys(FLOATS, 200)
    rows = driver.rows("old")
    assert {rows[name]["accuracy"] for name in FLOATS} == {1.0}
    assert rows["onnx.u8s8"]["status"] == rows["torch.x86"]["status"] == "ok"
    shutil.rmtree(driver.folder("keras.fp32", "keras", "old"))
    up = compose("up", "--no-color", "--no-log-prefix", "--abort-on-container-failure", EXPERIMENT="old", SAMPLE="")
    assert up.exit_code in LOSS_ALLOWED, up.stdout + up.stderr
    assert ["keras.fp32", "ok"] in [line.split()[:2] for line in up.stdout.splitlines()]
    assert (driver.folder("keras.fp32", "keras", "old") / MANIFEST).exists()


def right(driver: Driver) -> dict[str, int]:
    """How many of the 200 test samples each framework answers as the model did before it was saved."""
    labels = np.load(driver.folder("labels", "keras", "old") / "labels.npy")
    counts = {}
    for name in FLOATS:
        folder = driver.folder(f"predictions.{name}", name.partition(".")[0], "old")
        counts[name] = int((np.load(folder / "output_0.npy").argmax(axis=1) == labels).sum())
    return counts


HOSTILE = """
import sys
from pathlib import Path
from tests.images.keras import hostile
hostile.archive(Path(sys.argv[1]), hostile.calling("keras.utils", "plot_model", to_file="/tmp/x.png"))
"""


@pytest.mark.docker
@pytest.mark.parametrize("command", ["run", "inspect"])
def test_a_file_that_calls_what_it_should_not(command: str, docker_driver: Driver, tmp_path: Path) -> None:
    """Refused in one line by both commands, unless it is trusted: then Keras itself is asked."""
    path = tmp_path / "odd.keras"
    subprocess.run([ensure_environment("keras"), "-c", HOSTILE, path], cwd=ROOT, capture_output=True, check=True)
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).normal(size=(60, 3)).astype("f"))
    if command == "run":
        creation = docker_driver("new", "--no-check", "--model", str(path), "--data", str(tmp_path / "data.npz"))
        assert creation.exit_code == 0, creation.stdout + creation.stderr
        done = docker_driver("run", "--engine", "docker", "--experiment", "odd", "keras.fp32")
    else:
        done = docker_driver("inspect", str(path))
    assert done.exit_code == 3, done.stdout + done.stderr
    output = " ".join((done.stdout + done.stderr).split())
    assert "layer 'odd' calls keras.utils.plot_model, which isn't known to only compute: --trust allows that" in output
    assert "Traceback" not in output
