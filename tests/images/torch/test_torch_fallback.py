"""If onnx2torch or FX refuses a graph, the rewritten graph is tried, then PT2E; a refusal names the operator."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper

from images.torch import accuracy_aware, convert, explain, pt2e, quantize
from images.torch.convert import fallback
from images.torch.quantize import fx
from images.torch.runtime import formats
from shared.data import samples
from shared.errors import CrossquantError, Unsupported
from tests.images import models
from tests.images.torch.graphs import model, one, random, reference, saved
from tests.images.torch.stages import defaults


def calibration(folder: Path, x: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / "input_0.npy", x)
    return folder


def about(folder: Path) -> dict[str, object]:
    return json.loads((folder / formats.QUANTIZED_JSON).read_text())


def products(x: np.ndarray) -> tuple[list, dict[str, np.ndarray]]:
    """Two dense layers on a sequence, as the ONNX file of a transformer has them."""
    size = x.shape[-1]
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["a"], name="one"),
        helper.make_node("Add", ["a", "bias"], ["b"], name="plus"),
        helper.make_node("Relu", ["b"], ["c"], name="relu"),
        helper.make_node("MatMul", ["c", "second"], ["y"], name="two"),
    ]
    return nodes, {"first": random(size, 8, seed=1), "bias": random(8, seed=2), "second": random(8, 5, seed=3)}


def test_a_graph_that_will_do_is_the_only_one_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Rewriting takes time, and brings ONNX's reference."""
    monkeypatch.setattr("images.torch.convert.rewriting.rewrite_model", lambda _: pytest.fail("it was rewritten"))
    out = tmp_path / "out"
    out.mkdir()
    convert.run(models.convolutional(tmp_path / "onnx"), out)
    assert json.loads((out / formats.CONVERSION_JSON).read_text()) == {"by": "onnx2torch", "rewritten": []}


def test_what_onnx2torch_lacks_is_converted_from_the_rewritten_graph(tmp_path: Path, out: Path):
    x = random(3, 4, 6)
    source = saved(one("MeanVarianceNormalization", x, axes=[2]), tmp_path / "onnx")
    convert.run(source, out)
    conversion = json.loads((out / formats.CONVERSION_JSON).read_text())
    assert conversion["rewritten"][0] == "MeanVarianceNormalization by what ONNX defines it by"
    expected = reference(one("MeanVarianceNormalization", x, axes=[2]), x)[0]
    np.testing.assert_allclose(formats.load(out, 1)((x,))[0], expected, atol=1e-5)


def test_what_no_graph_can_do_without_is_named(tmp_path: Path, out: Path):
    with pytest.raises(Unsupported, match=r"operation_type='Det'"):
        convert.run(saved(one("Det", random(3, 4, 4)), tmp_path / "onnx"), out)
    assert not list(out.iterdir())


def test_the_rewritten_graph_is_taken_where_fx_leaves_layers_in_float(tmp_path: Path, out: Path):
    x = random(40, 6, 4)
    nodes, constants = products(x)
    source = saved(model(nodes, x, ["y"], constants), tmp_path / "onnx")
    quantize.run(source, calibration(tmp_path / "calibration", x), out, **defaults("quantize"))
    assert about(out) == {
        "engine": "fbgemm",
        "quantized": 2,
        "operators": 2,
        "path": "fx-rewritten",
        "rewritten": ["one and plus as a linear layer", "two as a linear layer"],
    }
    expected = reference(model(nodes, x, ["y"], constants), x)[0]
    assert np.abs(formats.load(out, 1)((x,))[0] - expected).max() < 0.05 * np.abs(expected).max()


def test_a_layer_that_rewriting_takes_away_may_be_excluded(tmp_path: Path, out: Path):
    x = random(40, 6, 4)
    nodes, constants = products(x)
    source = saved(model(nodes, x, ["y"], constants), tmp_path / "onnx")
    settings = {**defaults("quantize"), "exclude": ["plus", "two"]}
    quantize.run(source, calibration(tmp_path / "calibration", x), out, **settings)
    assert (about(out)["quantized"], about(out)["operators"]) == (1, 1)


class Refused(torch.nn.Module):
    """What FX can't trace and torch.export can follow: it asks for the size of what comes in."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return torch.relu(y) if y.shape[1] > 2 else y


def untraceable(folder: Path) -> torch.fx.GraphModule:
    module = TO_MODULE(folder)
    name = next(name for name, item in module.named_children() if isinstance(item, torch.nn.Conv2d))
    setattr(module, name, Refused(getattr(module, name)))
    return module


TO_MODULE = convert.to_module


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer of each converted model is one that FX can't trace."""
    for module in ("images.torch.quantize.trials", "images.torch.pt2e"):
        monkeypatch.setattr(f"{module}.to_module", untraceable)


@pytest.mark.usefixtures("refused")
def test_pt2e_is_taken_where_fx_can_trace_no_graph(tmp_path: Path, out: Path):
    images = models.images(40)
    source = models.convolutional(tmp_path / "onnx")
    quantize.run(source, calibration(tmp_path / "calibration", images), out, **defaults("quantize"))
    description = about(out)
    assert (description["form"], description["path"]) == (formats.EXPORTED, "pt2e")
    assert (description["quantized"], description["operators"]) == (3, 3)
    assert str(description["reason"]).startswith("PyTorch's FX graph mode can't trace this model at layer 'Conv_2'")
    answers = formats.load(out, 1)((images,))[0]
    convert_out = tmp_path / "float"
    convert_out.mkdir()
    convert.run(source, convert_out)
    assert 0 < np.abs(answers - formats.load(convert_out, 1)((images,))[0]).max() < 0.1


@pytest.mark.usefixtures("refused")
def test_pt2e_is_no_stand_in_for_a_recipe_of_other_types(tmp_path: Path, out: Path):
    settings = {**defaults("quantize"), "weight": "quint8"}
    with pytest.raises(Unsupported, match=r"^PyTorch's FX graph mode can't trace this model at layer 'Conv_2'"):
        quantize.run(
            models.convolutional(tmp_path / "onnx"), calibration(tmp_path / "c", models.images(20)), out, **settings
        )
    assert not list(out.iterdir())


def test_a_recurrent_layer_stays_in_float_and_is_named(tmp_path: Path, out: Path):
    x = random(7, 20, 4)
    weights = random(1, 20, 4), random(1, 20, 5), random(1, 40)
    nodes = one("LSTM", x, *weights, hidden_size=5, outputs=3)
    with pytest.raises(Unsupported) as caught:
        quantize.run(saved(nodes, tmp_path / "onnx"), calibration(tmp_path / "c", x), out, **defaults("quantize"))
    assert str(caught.value) == (
        "PyTorch quantized 0 of 2 convolutions and linear layers, without an error; layer (LSTM) stayed in float"
    )


def test_a_calibration_set_that_is_wrong_is_no_reason_to_try_another_way(tmp_path: Path, out: Path):
    images = models.images(20)
    images[7, 0, 0, 0] = np.nan
    with pytest.raises(CrossquantError, match="calibration sample 7 has NaN"):
        quantize.run(
            models.convolutional(tmp_path / "onnx"), calibration(tmp_path / "c", images), out, **defaults("quantize")
        )


@pytest.mark.usefixtures("refused")
def test_explain_refuses_a_variant_that_pt2e_made(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    source, images = models.convolutional(tmp_path / "onnx"), calibration(tmp_path / "c", models.images(20))
    settings = defaults("quantize")
    variant = tmp_path / "torch.int8"
    variant.mkdir()
    quantize.run(source, images, variant, **settings)
    monkeypatch.setattr("images.torch.explain.store.parameters", lambda _: settings)
    with pytest.raises(Unsupported, match=r"^torch\.int8 was made by PT2E"):
        explain.run(variant, source, images, out, images=10)


def test_the_paths_are_named_by_what_was_done():
    direct, changed = fallback.Source(Path()), fallback.Source(Path(), ("a change",))
    assert [source.method_name(way) for source in (direct, changed) for way in (quantize.METHOD, pt2e.METHOD)] == [
        "fx",
        "pt2e",
        "fx-rewritten",
        "pt2e-rewritten",
    ]
    assert fallback.describe_source(changed, "pt2e", "FX said no") == {
        "path": "pt2e-rewritten",
        "rewritten": ["a change"],
        "reason": "FX said no",
    }


@pytest.mark.parametrize(("shape", "kind"), [((9, 3, 12), "Conv1d"), ((9, 3, 6, 6), "ConvTranspose2d")])
def test_other_convolutions_are_counted_and_quantized(shape: tuple[int, ...], kind: str, tmp_path: Path, out: Path):
    x = random(*shape)
    graph = one("Conv", x, random(4, 3, 3)) if kind == "Conv1d" else one("ConvTranspose", x, random(3, 4, 3, 3))
    assert fx.count_products(convert.to_module(saved(graph, tmp_path / "onnx")), fx.COMPUTING) == 1
    quantize.run(tmp_path / "onnx", calibration(tmp_path / "c", x), out, **defaults("quantize"))
    assert (about(out)["quantized"], about(out)["operators"]) == (1, 1)


@pytest.fixture
def sequence(tmp_path: Path) -> tuple[Path, Path]:
    """A model whose layers FX leaves in float, and samples to be faithful on."""
    x = random(40, 6, 4)
    nodes, constants = products(x)
    folder = calibration(tmp_path / "calibration", x)
    (folder / samples.ABOUT).write_text(json.dumps({"task": "fidelity"}))
    return saved(model(nodes, x, ["y"], constants), tmp_path / "onnx"), folder


def test_a_variant_of_the_rewritten_graph_is_explained_by_its_layers(
    sequence: tuple[Path, Path], tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
):
    source, images = sequence
    variant = tmp_path / "torch.int8"
    variant.mkdir()
    quantize.run(source, images, variant, **defaults("quantize"))
    monkeypatch.setattr("images.torch.explain.store.parameters", lambda _: defaults("quantize"))
    explain.run(variant, source, images, out, images=40)
    explanation = json.loads((out / "layers.json").read_text())
    assert {layer["name"] for layer in explanation["layers"]} >= {"one", "two"}
    assert all(layer["weight"] for layer in explanation["layers"] if layer["name"] in ("one", "two"))


def test_layers_of_the_rewritten_graph_can_be_left_in_float(sequence: tuple[Path, Path], out: Path):
    source, images = sequence
    accuracy_aware.run(source, images, images, out, **{**defaults("accuracy_aware"), "max_drop_pp": 0.0, "trials": 3})
    assert about(out)["path"] == "fx-rewritten"
    excluded = json.loads((out / "excluded.json").read_text())
    assert excluded["trials"]
    assert about(out)["operators"] == 2 - len({"one", "two"} & {*excluded["layers"]})
