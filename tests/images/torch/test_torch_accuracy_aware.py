"""`explain` names the layers that quantization breaks, and accuracy-aware quantization leaves few of them in float."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from images.torch import accuracy_aware, explain
from images.torch.quantize.recipe import Recipe
from images.torch.quantize.trials import TrialModels
from images.torch.runtime import script
from shared.artifacts import store
from shared.errors import Unsupported
from shared.quantization import layer_search
from shared.quantization.layer_search import EXCLUDED
from tests.images.torch import hard
from tests.images.torch.stages import defaults

Build = Callable[[Path], Path]
PER_TENSOR = {"backend": "onednn", "per_channel": False}


def run_accuracy_aware(build: Build, folder: Path, **settings: object) -> dict:
    model = build(folder / "model")
    out = folder / "torch.accuracy-aware"
    out.mkdir()
    calibration = hard.images(model, folder / "calibration", 1, 200)
    holdout = hard.images(model, folder / "holdout", 2, 400)
    accuracy_aware.run(model, calibration, holdout, out, **{**defaults("accuracy_aware"), **PER_TENSOR, **settings})
    assert (out / script.FILE).exists()
    return json.loads((out / EXCLUDED).read_text())


def best(record: dict) -> float:
    return next(trial["accuracy"] for trial in record["trials"] if trial["excluded"] == record["layers"])


@pytest.mark.parametrize(("build", "limit"), [(hard.uneven, 0.5), (hard.normalized, 1.0)], ids=["uneven", "normalized"])
def test_accuracy_aware_quantization_restores_the_score(build: Build, limit: float, tmp_path: Path):
    record = run_accuracy_aware(build, tmp_path, max_drop_pp=limit)
    assert record["trials"][0]["excluded"] == []
    assert record["float_accuracy"] - record["trials"][0]["accuracy"] > 0.05
    assert record["holds"]
    assert record["float_accuracy"] - best(record) <= limit / 100 + 1e-9
    assert 1 <= len(record["layers"]) <= 3


def test_the_number_of_trials_is_a_limit(tmp_path: Path):
    record = run_accuracy_aware(hard.uneven, tmp_path, trials=2)
    assert len(record["trials"]) == 2


def test_a_limit_that_nothing_holds_leaves_the_best_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The limit is put above what any model can reach."""
    monkeypatch.setattr(layer_search, "ROUNDING", -1.0)
    record = run_accuracy_aware(hard.uneven, tmp_path, trials=3)
    assert not record["holds"]
    assert best(record) == max(trial["accuracy"] for trial in record["trials"])


def test_explain_names_the_layer_that_causes_the_loss(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    model = hard.uneven(tmp_path / "model")
    calibration = hard.images(model, tmp_path / "calibration", 1, 200)
    variant = tmp_path / "torch.broken"
    variant.mkdir()
    monkeypatch.setattr(store, "parameters", lambda _: {**defaults("quantize"), **PER_TENSOR})
    explain.run(variant, model, calibration, out, images=100)
    record = json.loads((out / "layers.json").read_text())
    by_name = {layer["name"]: layer for layer in record["layers"]}
    assert record["float_accuracy"] == 1.0
    assert record["quantized_accuracy"] < 0.95
    assert record["diagnosis"]["layer"] == "Conv_2"
    assert record["layers"] == sorted(record["layers"], key=lambda layer: layer["kept_kl"])
    assert by_name["Conv_2"]["weight"]["sqnr_db"] > 0
    assert by_name["Conv_2"]["only_weights"] < 0.95


def test_explain_refuses_a_variant_that_fx_did_not_make(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "parameters", lambda _: {"form": "aot"})
    with pytest.raises(Unsupported) as caught:
        explain.run(tmp_path / "torch.aot", tmp_path, tmp_path, out, images=100)
    assert str(caught.value) == "only what PyTorch's FX graph mode quantized can be explained, and torch.aot is not"


def test_layers_in_float_are_fed_float(tmp_path: Path):
    """Logits before a Softmax in 8 bits are not clipped to its range, and constants not quantized."""
    model = hard.normalized(tmp_path / "model")
    calibration = hard.images(model, tmp_path / "calibration", 1, 100)
    images = torch.from_numpy(np.load(calibration / "input_0.npy"))
    with torch.no_grad():
        module = TrialModels(model, Recipe("onednn"), ("Mul_4", "Add_5", "Gemm_6"), calibration).quantize(())
        answers = module(images)
    assert answers.max() > 0.9, "logits that are clipped to 0-1 leave no more than e / (e + 9)"
    quantized = [node for node in module.graph.nodes if node.target is torch.quantize_per_tensor]
    constants = [node for node in quantized if node.args[0].op == "get_attr"]
    assert len(constants) == 1, "Mul_0 alone has one that is to be quantized"
