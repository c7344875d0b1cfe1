"""Every common Keras model through all three images: the same answers in float, and 8 bits that are, or say why not."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import docker_lack

from driver.engines.venv import ensure_environment
from shared.artifacts.store import ROOT
from tests.zoo.names import NAMES, TRAINED

IMAGES = ("keras", "onnx", "torch")
CHAIN = "tests.zoo.chain"
IN_FLOAT = "unsupported: {} quantized {} of {} convolutions and linear layers, without an error; {} stayed in float"


@dataclass(frozen=True)
class Expected:
    """What becomes of the 8-bit variants: how many products are quantized, of `total`, and PyTorch's way there.

    `recurrent` is the layer that no static quantizer carries: all of them must say so.
    """

    total: int
    onnx: int
    torch: int
    path: str = "fx"
    pt2e: int | None = None
    recurrent: str = ""


EXPECTED = {
    "resnet8": Expected(10, 10, 10),
    "mobilenet_v2": Expected(12, 12, 12),
    "mobilenet_v3": Expected(13, 13, 13),
    "separable": Expected(5, 5, 5),
    "vit": Expected(18, 18, 14, "fx-rewritten"),  # the four products of two activations stay in float in PyTorch
    "mlp": Expected(3, 3, 3),
    "cnn_1d": Expected(3, 3, 3),
    "lstm": Expected(3, 1, 1, recurrent="LSTM_1 (LSTM)"),
    "gru": Expected(6, 2, 2, recurrent="GRU_1 (GRU)"),
    "autoencoder": Expected(4, 4, 4, pt2e=3),  # Inductor has no transposed convolution in 8 bits
    "two_inputs": Expected(4, 4, 4, "fx-rewritten"),  # two dense layers without a bias are products in the file
}
LEAST_DB = 15.0  # of signal to noise against Keras: the worst is the attention in FX graph mode, with 17 to 24


@dataclass(frozen=True)
class Chained:
    """What the three images made of one model."""

    folder: Path
    outcomes: dict[str, str]

    def answers(self, variant: str) -> np.ndarray:
        array: np.ndarray = np.load(self.folder / f"predictions.{variant}" / "output_0.npy")
        return array

    def quantized(self, variant: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / variant / "quantized.json").read_text())
        return content


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Chained]:
    """All models through the images' containers, or, where no Docker daemon answers, through their environments."""
    folder = tmp_path_factory.mktemp("zoo")
    outcomes: dict[str, dict[str, str]] = {name: {} for name in NAMES}
    for image in IMAGES:
        command = in_environment(image, folder) if docker_lack() else in_container(image, folder)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        for name, steps in json.loads((folder / f"{image}.json").read_text()).items():
            outcomes[name] |= steps
    return {name: Chained(folder / name, steps) for name, steps in outcomes.items()}


def in_environment(image: str, folder: Path, chain: str = CHAIN) -> list[str]:
    return [str(ensure_environment(image)), "-m", chain, image, str(folder)]


def in_container(image: str, folder: Path, chain: str = CHAIN) -> list[str]:
    """As locked down as the engine's, with the models beside the image's own code."""
    docker = shutil.which("docker")
    assert docker is not None, "a daemon answers, and there is no client: `make docker-host` installs it"
    lock = ["--read-only", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges:true"]
    code = [f"--volume={ROOT / name}:/app/{name}:ro" for name in ("tests", "driver")]  # driver: reads stages.toml
    mounts = ["--tmpfs=/tmp:exec", *code, f"--volume={folder}:/app/zoo"]
    user = f"--user={os.getuid()}:{os.getgid()}"
    start = [docker, "run", "--rm", user, *lock, *mounts, "--entrypoint=python", f"crossquant-{image}"]
    return [*start, "-m", chain, image, "/app/zoo"]


def test_every_model_of_the_zoo_is_expected_here() -> None:
    assert set(EXPECTED) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_float_variants_agree(name: str, chained: dict[str, Chained]) -> None:
    model = chained[name]
    failed = {step: text for step, text in model.outcomes.items() if text.startswith("failed")}
    assert not failed
    reference = model.answers("keras.fp32")
    for variant in ("onnx.fp32", "torch.fp32"):
        answers = model.answers(variant)
        np.testing.assert_allclose(answers, reference, rtol=1e-4, atol=1e-6)
        assert (answers.argmax(axis=-1) == reference.argmax(axis=-1)).mean() >= 0.995


@pytest.mark.parametrize("name", NAMES)
def test_a_model_in_8_bits_is_sound_or_says_why_it_is_not(name: str, chained: dict[str, Chained]) -> None:
    model, expected = chained[name], EXPECTED[name]
    pt2e = expected.torch if expected.pt2e is None else expected.pt2e
    for variant, framework, count in (
        ("onnx.int8", "ONNX Runtime", expected.onnx),
        ("torch.int8", "PyTorch", expected.torch),
        ("torch.pt2e", "PT2E", pt2e),
    ):
        if expected.recurrent:
            reason = IN_FLOAT.format(framework, count, expected.total, expected.recurrent)
            assert model.outcomes[variant] == reason
            continue
        assert model.outcomes[variant] == "ok"
        about = model.quantized(variant)
        assert (about["quantized"], about["operators"]) == (count, expected.total)
        assert decibels(model.answers(variant), model.answers("keras.fp32")) > LEAST_DB


@pytest.mark.parametrize("name", [name for name in NAMES if not EXPECTED[name].recurrent])
def test_the_way_that_pytorch_took_is_recorded(name: str, chained: dict[str, Chained]) -> None:
    about, path = chained[name].quantized("torch.int8"), EXPECTED[name].path
    assert about["path"] == path
    assert bool(about.get("rewritten")) is (path == "fx-rewritten")
    assert chained[name].quantized("torch.pt2e")["path"] == path.replace("fx", "pt2e")


def test_an_lstm_is_quantized_where_its_ranges_may_be_taken_as_it_runs(chained: dict[str, Chained]) -> None:
    model = chained["lstm"]
    assert model.quantized("onnx.dynamic") == {"quantized": 3, "operators": 3}
    assert decibels(model.answers("onnx.dynamic"), model.answers("keras.fp32")) > 40
    reason = IN_FLOAT.format("ONNX Runtime", 2, 6, "GRU_1 (GRU)")
    assert chained["gru"].outcomes["onnx.dynamic"] == reason, "ONNX Runtime has no such operator for a GRU"


@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_model_keeps_its_accuracy(name: str, chained: dict[str, Chained]) -> None:
    model = chained[name]
    labels = np.load(model.folder / "dataset" / "labels.npy")
    accuracy = {
        variant: (model.answers(variant).argmax(axis=1) == labels).mean()
        for variant in ("keras.fp32", "onnx.fp32", "onnx.int8", "torch.fp32", "torch.int8", "torch.pt2e")
    }
    assert accuracy["keras.fp32"] >= TRAINED[name]
    assert min(accuracy.values()) >= accuracy["keras.fp32"] - 0.02


def decibels(answers: np.ndarray, reference: np.ndarray) -> float:
    noise = ((answers - reference) ** 2).sum()
    return float(10 * np.log10((reference**2).sum() / noise)) if noise else np.inf
