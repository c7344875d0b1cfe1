"""From files of one's own to a comparison, in two commands and real containers; bad files end in one clear line."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Done, Driver
from PIL import Image

from driver.engines.venv import ensure_environment
from driver.inputs import embedded_sample
from driver.inputs.cifar10 import CLASSES
from shared.artifacts.store import ROOT

pytestmark = pytest.mark.docker
MODEL, DATA = "mein modell ü.keras", "données à moi"
OURS = ROOT / "driver" / "models" / "resnet8-cifar10.keras"
FLOATS = ("keras.fp32", "onnx.fp32", "torch.fp32")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `own_files.py` makes."""
    folder = tmp_path_factory.mktemp("own files")
    command = [ensure_environment("keras"), "tests/e2e/own_files.py", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def table(files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Driver, Done, Done]:
    """The first experiment of a newcomer: both commands, and what they said."""
    driver = Driver(tmp_path_factory.mktemp("table") / "volumes", "docker")
    new = driver("new", "--model", str(files / MODEL), "--data", str(files / DATA), "--name", "mine")
    return driver, new, driver("run", "--experiment", "mine")


def new(driver: Driver, files: Path, model: str, data: str = DATA, *more: str) -> Done:
    return driver("new", "--model", str(files / model), "--data", str(files / data), "--name", "mine", *more)


def refusal(driver: Driver, done: Done) -> str:
    """Why `new` wrote no experiment; the terminal may have wrapped it."""
    assert done.exit_code == 3, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "error: no experiment 'mine' is written: " in done.stderr
    assert not (driver.volumes / "inputs" / "mine.yaml").exists()
    assert driver.leftovers() == []
    return " ".join(done.stdout.split())


def test_two_commands_from_a_table_to_a_comparison(table: tuple[Driver, Done, Done]) -> None:
    driver, creation, done = table
    assert creation.exit_code == 0, creation.stderr
    said = " ".join(creation.stdout.split())
    assert "data: 600 test rows, classification, 3 classes: <b>bold</b>, b, c, ümlaut" in said
    assert "next: ./crossquant run --experiment mine" in said
    assert "drop_pp" in (driver.volumes / "inputs" / "mine.yaml").read_text()
    assert done.exit_code == 0, done.stdout + done.stderr
    comparison, rows = driver.comparison("mine"), driver.rows("mine")
    dataset = comparison["dataset"]
    assert (dataset["task"], dataset["unit"], dataset["test_images"]) == ("classification", "rows", 600)
    assert dataset["classes"] == ["<b>bold</b>", "b, c", "ümlaut"]
    assert rows["keras.fp32"]["accuracy"] > 0.9
    for name in FLOATS:
        assert rows[name]["drift"]["changed"] == 0 or name == "keras.fp32"
        assert rows[name]["status"] == "ok"
    for name in ("onnx.int8", "onnx.u8s8", "torch.int8", "torch.onednn"):
        assert rows[name]["status"] == "ok"
        assert abs(rows[name]["delta_pp"]) < 3


def test_the_page_shows_class_names_and_runs_none(table: tuple[Driver, Done, Done]) -> None:
    driver, *_ = table
    page = (driver.volumes / "mine" / "comparison" / "comparison.html").read_text()
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>bold</b>" not in page
    assert "600 test rows" in page


def test_a_second_run_does_nothing_and_a_changed_row_is_seen(table: tuple[Driver, Done, Done], files: Path) -> None:
    driver, *_ = table
    assert driver("run", "--experiment", "mine").made() == []
    path = files / DATA / "train.csv"
    before = path.read_text()
    try:
        path.write_text(before.replace("b, c", "d, e"))
        stages = driver("run", "--experiment", "mine", "data").made()
    finally:
        path.write_text(before)
    assert stages == ["data"]


def test_the_data_are_looked_at_before_anything_is_run(table: tuple[Driver, Done, Done]) -> None:
    driver, *_ = table
    done = driver("check-data", "--experiment", "mine")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "<b>bold</b>" in done.stdout
    assert "0 in both" in done.stdout


def test_compose_has_all_it_needs_on_the_volume(table: tuple[Driver, Done, Done]) -> None:
    """What `new` copied there: the files themselves are out of its sight."""
    driver, *_ = table
    compose = ["docker", "compose", "--project-name", "test-own", "--progress", "quiet"]
    own = {"EXPERIMENT": "mine", "CROSSQUANT_UID": str(os.getuid()), "CROSSQUANT_GID": str(os.getgid())}
    options = {"cwd": ROOT, "env": driver.environment | own, "capture_output": True, "text": True}
    try:
        done = subprocess.run([*compose, "up", "--no-color", "--abort-on-container-failure"], check=False, **options)
    finally:
        subprocess.run([*compose, "down"], check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "600 test rows of mine-data" in done.stdout
    assert not re.findall(r" (?:ok|unsupported|failed) +[0-9.]+ s", done.stdout), "all of it is fresh"


def test_an_onnx_file_is_a_start_too(table: tuple[Driver, Done, Done], files: Path, tmp_path: Path) -> None:
    first, *_ = table
    shutil.copyfile(first.folder("exported", "keras", "mine") / "model.onnx", tmp_path / "net.onnx")
    driver = Driver(tmp_path / "volumes", "docker")
    assert new(driver, files, str(tmp_path / "net.onnx")).exit_code == 0
    done = driver("run", "--experiment", "mine")
    assert done.exit_code == 0, done.stdout + done.stderr
    rows = driver.rows("mine")
    assert not [name for name in rows if name.startswith("keras.")]
    assert driver.comparison("mine")["reference"] == "onnx.fp32"
    assert rows["onnx.fp32"]["accuracy"] == first.rows("mine")["onnx.fp32"]["accuracy"]
    assert rows["torch.int8"]["status"] == "ok"


@pytest.fixture(scope="module")
def two(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """Two inputs, a regression of two numbers, a layer of the user's, and data that a Python file makes."""
    driver = Driver(tmp_path_factory.mktemp("two") / "volumes", "docker")
    creation = new(driver, files, "two.keras", "pairs", "--code", str(files / "my_layers.py"), "--set", "unit=pairs")
    assert creation.exit_code == 0, creation.stderr
    done = driver("run", "--experiment", "mine")
    assert done.exit_code == 0, done.stdout + done.stderr
    return driver


def test_two_inputs_and_a_regression_with_layers_of_ones_own(two: Driver) -> None:
    comparison, rows = two.comparison("mine"), two.rows("mine")
    assert (comparison["dataset"]["task"], comparison["dataset"]["unit"]) == ("regression", "pairs")
    for name in (*FLOATS, "onnx.int8", "torch.int8"):
        metrics = {metric["name"]: metric for metric in rows[name]["metrics"]}
        assert rows[name]["status"] == "ok"
        assert set(metrics) >= {"mae", "rmse", "r2"}
        assert rows[name]["accuracy"] is None
    mae: dict[str, Any] = {name: rows[name]["metrics"][0]["value"] for name in rows if rows[name]["metrics"]}
    assert mae["onnx.fp32"] == pytest.approx(mae["keras.fp32"], rel=1e-5)
    assert mae["torch.fp32"] == pytest.approx(mae["keras.fp32"], rel=1e-5)


def test_a_script_that_changed_is_run_again(two: Driver, files: Path) -> None:
    script = files / "pairs" / "load_data.py"
    before = script.read_text()
    try:
        script.write_text(before.replace('"test": 90', '"test": 80'))
        done = two("run", "--experiment", "mine", "dataset")
    finally:
        script.write_text(before)
    assert done.made() == ["data", "dataset"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The embedded sample's pictures as PNG files in folders by class, and its arrays."""
    folder, arrays = tmp_path_factory.mktemp("pictures"), embedded_sample.load()
    of_each = {
        "train": (arrays["x_train"], arrays["y_train"][arrays["train_indices"]]),
        "test": (arrays["x_test"], arrays["y_test"]),
    }
    for split, (images, labels) in of_each.items():
        for name in CLASSES:
            (folder / split / name).mkdir(parents=True)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            Image.fromarray(image).save(folder / split / CLASSES[label] / f"{number:05}.png", compress_level=1)
    return folder, arrays


def test_pictures_in_folders_are_the_same_samples(
    docker_driver: Driver, pictures: tuple[Path, dict[str, Any]], files: Path
) -> None:
    """The default model answers them as it does the embedded sample: 88.6 % of 2,000."""
    folder, arrays = pictures
    assert new(docker_driver, files, str(OURS), str(folder)).exit_code == 0
    done = docker_driver("run", "--experiment", "mine", "predictions.keras.fp32", "labels", "calibration")
    assert done.exit_code == 0, done.stdout + done.stderr
    seen = np.load(docker_driver.folder("dataset", "keras", "mine") / "input_0.npy")
    labels = np.load(docker_driver.folder("labels", "keras", "mine") / "labels.npy")
    assert seen.dtype == np.uint8
    by_class = np.argsort(arrays["y_test"], kind="stable")
    assert np.array_equal(labels, arrays["y_test"][by_class])
    assert np.array_equal(seen, arrays["x_test"][by_class])
    answers = np.load(docker_driver.folder("predictions.keras.fp32", "keras", "mine") / "output_0.npy")
    assert (answers.argmax(axis=1) == labels).mean() > 0.85


def test_the_classic_mistake_is_found_before_anything_is_run(
    docker_driver: Driver, pictures: tuple[Path, dict[str, Any]], files: Path
) -> None:
    """The default model takes raw pixels: dividing by 255 is wrong."""
    folder, _ = pictures
    wrong = ("--set", f"scale={1 / 255}")
    assert new(docker_driver, files, str(OURS), str(folder), *wrong).exit_code == 0
    done = docker_driver("check-data", "--experiment", "mine")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "look at: prepared as '0 to 255' the data scores" in " ".join(done.stdout.split())
    lines = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    assert "better" in lines["0 to 255"]
    assert "better" not in lines["as declared"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("lambda.keras", "'halve'"),
        ("pickle.keras", "pickle"),
        ("short.h5", "short.h5"),
        ("bomb.keras", "bomb"),
        ("nine.keras", "(9,)"),
        ("pair.keras", "3 classes"),
    ],
)
def test_a_bad_model_is_refused_in_one_line(docker_driver: Driver, files: Path, model: str, said: str) -> None:
    lines = refusal(docker_driver, new(docker_driver, files, model))
    assert said in lines.partition("keras.fp32 failed")[2], lines
    assert (docker_driver.folder("dataset", "keras", "mine") / "artifact.json").exists(), "what is finished is kept"


def test_lambda_code_runs_where_it_is_trusted(docker_driver: Driver, files: Path) -> None:
    assert new(docker_driver, files, "lambda.keras", DATA, "--no-check").exit_code == 0
    done = docker_driver("run", "--experiment", "mine", "--trust", "predictions.onnx.fp32")
    assert done.exit_code == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: put(folder / "train.csv", 3, "nan"), "train.csv, row 2"),
        (lambda folder: put(folder / "train.csv", 3, "four"), "four"),
        (lambda folder: (folder / "train.csv").write_bytes(b"\x80\x04\x95pickle"), "train.csv"),
    ],
    ids=["nan", "text", "no table"],
)
def test_bad_data_are_refused_in_one_line(
    docker_driver: Driver, files: Path, tmp_path: Path, make: Any, said: str
) -> None:
    folder = Path(shutil.copytree(files / DATA, tmp_path / "data"))
    make(folder)
    assert said in refusal(docker_driver, new(docker_driver, files, MODEL, str(folder)))


def test_samples_that_are_in_both_sets_are_named(docker_driver: Driver, files: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(files / DATA, tmp_path / "data"))
    (folder / "test.csv").write_text((folder / "train.csv").read_text())
    assert new(docker_driver, files, MODEL, str(folder)).exit_code == 0
    done = docker_driver("run", "--experiment", "mine", "calibration")
    assert done.exit_code == 3, done.stdout + done.stderr
    assert "leakage" in done.stdout
    assert docker_driver.leftovers() == []


def put(path: Path, line: int, value: str) -> None:
    """`value` in the place of the first number of the line, from 1."""
    lines = path.read_text().splitlines()
    lines[line - 1] = ",".join([value, *lines[line - 1].split(",")[1:]])
    path.write_text("\n".join(lines) + "\n")


def test_a_model_is_looked_at_before_anything_is_run(docker_driver: Driver, files: Path) -> None:
    done = docker_driver("inspect", str(files / MODEL), "--json")
    assert done.exit_code == 0, done.stdout + done.stderr
    description = json.loads(done.stdout)
    assert description["parameters"] == 8 * 32 + 32 + 32 * 32 + 32 + 32 * 3 + 3
