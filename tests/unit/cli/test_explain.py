"""`explain` for people: which variant may be asked for, the table, the cause, and where it is written."""

import json
from dataclasses import replace
from io import StringIO
from xml.etree import ElementTree

import pytest
from evidence_makers import Volume, answers, default_experiment, with_extra
from rich.console import Console
from thorough import ADD, CONV, FOUND, LONG

from driver.analysis import explanations
from driver.analysis.artifacts import Evidence
from driver.catalog import declarations
from driver.cli import explain as explaining
from driver.cli import main as command_line
from driver.cli.workflow import Made
from driver.report import layer_phrases
from driver.report.plots import layers
from shared.artifacts.freshness import Freshness
from shared.contract import decode
from shared.errors import CrossquantError
from shared.sensitivity.layer_errors import Sensitivity

pytestmark = pytest.mark.usefixtures("volumes")


@pytest.fixture
def volume(monkeypatch):
    """With a stage `explain` in each image that quantizes."""
    stages = with_extra(declarations.load())
    monkeypatch.setattr(declarations, "load", lambda *_: stages)
    new_volume = Volume(default_experiment(draws=2), stages).start()
    new_volume.variant("onnx.fp32", answers(10))
    new_volume.variant("onnx.int8", answers(15))
    new_volume.publish("torch.uint8", refused="PyTorch quantized 0 of 10")
    return new_volume


def shown(sensitivity, width=120):
    console = Console(file=StringIO(), width=width)
    explaining.show(sensitivity, console)
    return console.file.getvalue().splitlines()


def test_only_a_quantized_variant_of_the_experiment_can_be_explained(volume):
    assert explaining.find_target("onnx.int8", volume.plan) == "explain.onnx.int8"
    variant_names = "onnx.int8, onnx.uint8, onnx.u8s8, torch.int8, torch.x86, torch.uint8"
    for name in ("onnx.int9", "onnx.fp32", "keras.fp32", "onnx.int8.d2", "explain.onnx.int8", ""):
        with pytest.raises(CrossquantError) as caught:
            explaining.find_target(name, volume.plan)
        assert str(caught.value) == f"'{name}' can't be explained: give a quantized variant, one of {variant_names}"


def test_what_was_explained_is_read_back(volume):
    assert explanations.read_explanation(Evidence(Freshness(volume.plan)), "onnx.int8") is None
    volume.explain(FOUND)
    assert explanations.read_explanation(Evidence(Freshness(volume.plan)), "onnx.int8") == FOUND
    assert explanations.read_explanation(Evidence(Freshness(volume.plan)), "onnx.uint8") is None


def test_the_summary_says_what_the_quantization_of_each_kind_loses():
    assert shown(FOUND)[0] == (
        "onnx.int8 on 1,500 calibration images: accuracy 82.34 %, in float 88.00 %; "
        "with its weights alone quantized 87.00 %, with its activations alone 83.00 %"
    )


def test_another_score_and_distance_are_called_by_their_names():
    sensitivity = replace(FOUND, float_accuracy=0.97, quantized_accuracy=-0.25, score="R²", distance="noise")
    lines = shown(sensitivity)
    assert "calibration images: R² -25.00 %, in float 97.00 %; " in lines[0]
    assert "noise" in "\n".join(lines)
    assert "KL" not in "\n".join(lines)
    picture = layers.alone(sensitivity)
    assert "noise from float that is left, share of the power" in picture
    assert "R², %" in picture


def test_a_line_for_each_layer_with_every_figure_the_most_sensitive_first():
    lines = shown(replace(FOUND, layers=(replace(CONV, name="conv"), ADD)))
    rows = [line.split() for line in lines if "QLinearConv" in line or "Add" in line]
    assert rows == [
        ["conv", "QLinearConv", "20.1", "0.99900", "0.512", "41.0", "81.00", "82.00", "85.30", "0.0123"],
        ["[a]add", "Add", "exact", "1.00000", "0", "–", "–", "82.00", "85.30", "0.0123"],
    ]
    assert len(explaining.HEADINGS) + 1 == len(rows[0])


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut_and_a_long_name_can_be_put_together(width):
    lines = shown(FOUND, width)
    assert not [line for line in lines[1:-1] if "…" in line]
    table = lines[lines.index(next(line for line in lines if "QLinearConv" in line)) : -2]
    assert "".join(line.split()[0] for line in table) == LONG


def test_the_diagnosis_is_the_last_line_as_it_stands():
    assert shown(FOUND)[-1] == layer_phrases.diagnosis_text(FOUND)
    assert shown(replace(FOUND, diagnosis=None))[-1].startswith("[a]add ")


def test_what_an_earlier_version_said_instead_is_still_shown():
    earlier = replace(FOUND, diagnosis=None, cause="[b]add has a range of 0…900.")
    assert shown(earlier)[-1] == earlier.cause


def test_a_model_without_layers_is_no_mistake():
    assert shown(replace(FOUND, layers=(), diagnosis=None))[0].startswith("onnx.int8 on 1,500")


@pytest.fixture
def explain(monkeypatch, capsys):
    """Call the command where nothing is run: (exit code, out, err), with or without a failure."""

    def call(volume, variant, *more, failed=False):
        monkeypatch.setattr(explaining, "make_artifacts", lambda *_, **__: Made(Freshness(volume.plan), failed, True))
        code = command_line.main(["explain", variant, *more])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_program_gets_what_was_measured(volume, explain):
    volume.explain(FOUND)
    code, out, err = explain(volume, "onnx.int8", "--json")
    assert (code, err) == (0, "")
    assert decode(Sensitivity, json.loads(out)) == FOUND


def test_the_command_shows_and_says_where_it_is(volume, volumes, explain):
    volume.explain(FOUND)
    code, out, err = explain(volume, "onnx.int8")
    assert (code, err) == (0, "")
    folder = volumes / "resnet8-cifar10"
    picture = folder / "explanations" / "onnx.int8" / "sensitivity.svg"
    assert out.splitlines()[-2:] == [
        f"written to {folder}/onnx/explain.onnx.int8/layers.json",
        f"drawn in {picture}",
    ]
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    assert not (folder / "comparison").exists(), "which is put into place whole"


def test_a_stage_that_failed_sets_the_exit_code(volume, explain):
    assert explain(volume, "onnx.int8", failed=True)[0] == 3


def test_what_the_framework_refuses_to_explain_has_its_reason(volume, explain):
    volume.publish("explain.onnx.int8", refused="no such operator")
    assert explain(volume, "onnx.int8") == (2, "", "error: onnx.int8 can't be explained: no such operator\n")


def test_a_variant_that_there_is_not_because_it_was_refused_has_the_reason_of_that(volume, explain):
    refused = "error: torch.uint8 can't be explained: PyTorch quantized 0 of 10\n"
    assert explain(volume, "torch.uint8") == (2, "", refused)
