"""Recipes in real runs: chosen on training images, explained layer by layer, run on another CPU."""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Driver, Finished, experiment_for_this_cpu

from driver.inputs.embedded_sample import load as load_sample
from shared.artifacts.store import ROOT
from shared.measure.instructions import this_cpu

U8S8 = {"activation": "uint8", "weight": "int8", "per_channel": True}


def records(images: np.ndarray, labels: np.ndarray) -> bytes:
    """As CIFAR-10's binary files have them: a label, then the red, the green and the blue plane."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([labels[:, None], planes], axis=1).astype(np.uint8).tobytes()


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    """A data set of the sample's images that is whole: 2,000 to train with, 1,000 to test with."""
    sample = load_sample()
    images = np.concatenate([sample["x_test"][:1000], sample["x_train"]])
    labels = np.concatenate([sample["y_test"][:1000], sample["y_train"][sample["train_indices"]]])
    return {"x_train": images, "y_train": labels, "x_test": sample["x_test"][1000:], "y_test": sample["y_test"][1000:]}


@pytest.fixture
def small(data: dict[str, np.ndarray], tmp_path: Path) -> tuple[Driver, Callable[[dict[str, Any]], str]]:
    """A driver in virtual environments, and what writes an experiment on that data set."""
    driver = Driver(tmp_path / "volumes")
    archive = driver.volumes / "inputs" / "small.tar.gz"
    archive.parent.mkdir(parents=True)
    parts = {f"data_batch_{number}.bin": slice(400 * number - 400, 400 * number) for number in range(1, 6)}
    with tarfile.open(archive, "w:gz") as tar:
        for name, part in parts.items():
            add(tar, name, records(data["x_train"][part], data["y_train"][part]))
        add(tar, "test_batch.bin", records(data["x_test"], data["y_test"]))

    def write(changes: dict[str, Any]) -> str:
        content = experiment_for_this_cpu() | {"name": "small", "calibration": {"images": 100, "seed": 0}} | changes
        sums = {name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() for name, array in data.items()}
        content["dataset"] = {"name": "small", "sources": [{"input": archive.name}], "sha256": sums}
        content["latency"] = {"passes": 1, "rounds": 2, "calls": 5}
        path = tmp_path / "small.yaml"
        path.write_text(json.dumps(content))
        return str(path)

    return driver, write


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(content)
    tar.addfile(about, io.BytesIO(content))


def test_recipes_are_chosen_on_training_images_and_the_winners_tested_once(small: Any) -> None:
    driver, write = small
    path = write(
        {
            "recipes": {"onnx": {"u8s8": U8S8, "reduced": {**U8S8, "reduce_range": True}}},
            "selection": {"images": 400},
            "select": {"preset": "none", "draws": 2},
            "gates": {},
        }
    )
    done = driver("run", "--select", "--engine", "venv", "--experiment", path)
    assert done.exit_code == 0, done.stdout + done.stderr
    trial, final = driver.comparison("small.select"), driver.comparison("small.selected")
    ranked = driver.rows("small.select")
    assert all(0.5 < row["accuracy"] < 1 for row in ranked.values()), "they are ranked by what they get right"
    assert (trial["dataset"]["test_images"], final["dataset"]["test_images"]) == (400, 1000)
    chosen = re.search(r"^onnx: (\S+) is recommended; .*safe on every CPU (\S+);", done.stdout, re.MULTILINE)
    assert chosen is not None
    rows = driver.rows("small.selected")
    assert set(chosen.groups()) <= set(rows)
    assert chosen[2] == "onnx.reduced"
    assert all(len(row["draws"]["values"]) == 2 for row in rows.values() if row["recipe"] != "fp32")
    drawn = {*indices(driver, "calibration"), *indices(driver, "calibration.d2")}
    assert len(drawn) > 100 and not drawn & {*indices(driver, "dataset")}


def indices(driver: Driver, artifact: str) -> list[int]:
    selected: list[int] = json.loads((driver.folder(artifact, "keras", "small.select") / "manifest.json").read_text())[
        "indices"
    ]
    return selected


def test_layers_are_left_in_float_by_what_held_out_images_say(small: Any) -> None:
    driver, write = small
    auto = {"activation": "int8", "weight": "int8", "exclude": "auto", "max_drop_pp": 0.0, "trials": 3}
    path = write({"recipes": {"onnx": {"mixed": auto}}, "holdout": {"images": 400}, "gates": {}})
    done = driver("run", "--engine", "venv", "--experiment", path, "predictions.onnx.mixed")
    assert done.exit_code == 0, done.stdout + done.stderr
    exclusion = json.loads((driver.folder("onnx.mixed", "onnx", "small") / "excluded.json").read_text())
    assert 1 <= len(exclusion["trials"]) <= 3
    assert exclusion["holds"] == any(trial["accuracy"] >= exclusion["float_accuracy"] for trial in exclusion["trials"])


@pytest.mark.parametrize("variant", ["onnx.int8", "torch.int8"])
def test_a_variant_is_explained_layer_by_layer(finished: Finished, variant: str) -> None:
    driver = finished.driver
    done = driver("explain", variant, "--sample", "--engine", driver.engine)
    assert done.exit_code == 0, done.stdout + done.stderr
    path = driver.folder(f"explain.{variant}", variant.partition(".")[0]) / "layers.json"
    explanation = json.loads(path.read_text())
    assert explanation["float_accuracy"] > 0.85
    assert all(layer["name"] in done.stdout for layer in explanation["layers"])
    assert {layer["operator"] for layer in explanation["layers"]} >= {"Conv", "Gemm"}
    plot = driver.volumes / "resnet8-cifar10" / "explanations" / variant / "sensitivity.svg"
    assert plot.read_text().startswith("<svg")


def test_a_float_variant_has_nothing_to_explain(finished: Finished) -> None:
    done = finished.driver("explain", "onnx.fp32", "--sample")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: 'onnx.fp32' can't be explained: give a quantized variant, one of onnx.int8, ")


def test_what_other_cpus_answer_is_on_the_row_and_in_the_decision(finished: Finished) -> None:
    """uint8 times int8 saturates without VNNI, unless the weights have 7 bits."""
    rows = finished.driver.rows()
    if not rows["onnx.u8s8"]["emulated"]:
        refusals = [each for each in rows["onnx.u8s8"]["warnings"] if each["kind"] == "cannot_run"]
        assert any("qemu-x86_64 is not on this host" in each["reason"] for each in refusals)
        assert finished.driver.engine == "venv", "the images have the emulator"
        pytest.skip("no qemu-x86_64 on this host")
    fast, safe = (rows[name]["emulated"][0] for name in ("onnx.u8s8", "onnx.u8s8-reduced"))
    assert (fast["cpu"], fast["images"]) == ("haswell", 500)
    if this_cpu().saturates:
        assert fast["agreement"] == 1.0, "this CPU loses as much"
    else:
        assert fast["value"] < fast["here"] - 0.02
    losses = [each["cpu"] for each in rows["onnx.u8s8"]["warnings"] if each["kind"] == "worse_on_cpu"]
    assert ("haswell" in losses) is not this_cpu().saturates
    assert safe["agreement"] == 1.0
    assert rows["torch.x86"]["emulated"][0]["agreement"] > 0.99


def test_the_presets_are_in_the_documents() -> None:
    text = (ROOT / "docs" / "quantization.md").read_text()
    for path in (ROOT / "driver" / "experiment" / "presets").glob("*.yaml"):
        assert f"`{path.stem}`" in text
