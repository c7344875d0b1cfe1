"""The way of the model: which variant was made from which, by what tools, and what each conversion step lost."""

from dataclasses import replace

import comparisons
import pytest
from evidence_makers import INPUTS, LABELS, ORDER, Volume, answers, default_experiment, versions

from driver.analysis import conversion_steps
from driver.analysis.artifacts import Evidence
from driver.analysis.artifacts import variants as variants_of
from driver.analysis.evaluation import Answer, Evaluation, Truth
from driver.analysis.facts import FormatConversion, Quantization
from driver.analysis.results import ConversionStep
from driver.catalog import declarations
from driver.plan import schedule
from driver.report.page import tables
from shared.artifacts.freshness import Freshness
from shared.data.samples import About

pytestmark = pytest.mark.usefixtures("volumes")
ORIGINS = {
    "keras.fp32": "",
    "onnx.fp32": "keras.fp32",
    "torch.fp32": "onnx.fp32",
    "onnx.int8": "onnx.fp32",
    "onnx.uint8": "onnx.fp32",
    "onnx.u8s8": "onnx.fp32",
    "torch.int8": "torch.fp32",
    "torch.x86": "torch.fp32",
    "torch.uint8": "torch.fp32",
}


@pytest.fixture
def volume():
    return Volume(default_experiment())


def evidence(volume):
    return Evidence(Freshness(volume.plan))


def compare(volume, outputs):
    return {step.after: step for step in conversion_steps.compare_conversion_steps(evaluate(volume, outputs))}


def evaluate(volume, outputs):
    """The evaluation of variants that gave these outputs."""

    class Given(Evaluation):
        def answer(self, variant):
            return Answer(Truth(About(), LABELS), outputs[variant]) if variant in outputs else None

    return Given(evidence(volume), "keras.fp32")


def test_where_each_variant_comes_from(volume):
    """onnx.fp32 from keras.fp32, over `exported`, which is no variant; a quantized one from its own framework's."""
    volume_evidence = evidence(volume)
    origins = {step.output: conversion_steps.find_origin(volume_evidence, step)[0] for step in variants_of(volume.plan)}
    assert origins == ORIGINS


def test_what_each_step_changes(volume):
    volume_evidence = evidence(volume)
    changes = {
        step.output: conversion_steps.describe_change(conversion_steps.find_origin(volume_evidence, step)[0], step)
        for step in variants_of(volume.plan)
    }
    del changes["keras.fp32"]
    assert changes == {
        "onnx.fp32": FormatConversion("Keras", "ONNX"),
        "torch.fp32": FormatConversion("ONNX", "PyTorch"),
        "onnx.int8": Quantization("int8", "int8", "static"),
        "onnx.uint8": Quantization("uint8", "uint8", "static"),
        "onnx.u8s8": Quantization("int8", "uint8", "static"),
        "torch.int8": Quantization("int8", "uint8", "static"),
        "torch.x86": Quantization("int8", "uint8", "static"),
        "torch.uint8": Quantization("uint8", "uint8", "static"),
    }


@pytest.mark.parametrize(
    ("image", "given", "expected"),
    [
        ("onnx", {"activation": "uint16", "weight": "int8"}, Quantization("int8", "uint16", "static")),
        ("onnx", {"activation": "int16", "exclude": "auto"}, Quantization("int8", "int16", "static")),
        ("onnx", {"method": "dynamic", "weight": "uint8"}, Quantization("uint8", "int8", "dynamic")),
        ("onnx", {"method": "float16"}, Quantization("float16", "float32", "weights_only")),
        ("torch", {"method": "pt2e"}, Quantization("int8", "int8", "static")),
        ("litert", {}, Quantization("int8", "int8", "static")),
        ("litert", {"activation": "int16"}, Quantization("int8", "int16", "static")),
        ("litert", {"method": "dynamic"}, Quantization("int8", "int8", "dynamic")),
        ("litert", {"method": "float16"}, Quantization("float16", "float32", "weights_only")),
        ("openvino", {"preset": "mixed"}, Quantization("int8", "int8", "static")),
        ("openvino", {"method": "weights"}, Quantization("int8", "float32", "weights_only")),
    ],
)
def test_a_quantization_is_what_the_recipe_asks_for(image, given, expected):
    """In every image, of the steps that a plan makes of such a recipe."""
    catalog = declarations.load(declarations.list_optional())
    chosen = default_experiment(recipes={image: {"own": given}}, images=declarations.list_optional())
    plan = schedule.make(chosen, catalog, INPUTS, 2)
    assert conversion_steps.describe_change(f"{image}.fp32", plan.step(f"{image}.own")) == expected


def test_the_tools_of_a_step_in_the_order_of_their_work_with_their_versions(volume):
    """As installed where the artifact was made, however the package spells its own name."""
    volume_evidence = evidence(volume.whole())
    tools = {step.output: conversion_steps.find_origin(volume_evidence, step)[1] for step in variants_of(volume.plan)}
    keras, onnx, torch = (versions(volume.plan.step(f"{image}.fp32")) for image in ("keras", "onnx", "torch"))
    assert tools["onnx.fp32"] == (f"tf2onnx {keras['Tf2Onnx']}", f"onnxruntime {onnx['Onnxruntime']}")
    assert tools["torch.fp32"] == (f"onnx2torch {torch['Onnx2Torch']}",)
    assert tools["onnx.int8"] == (f"onnxruntime {onnx['Onnxruntime']}",)
    assert tools["torch.int8"] == (f"torch {torch['Torch']}",)


def test_a_tool_whose_artifact_is_not_there_has_no_version(volume):
    assert conversion_steps.describe_tool(evidence(volume), volume.plan.step("exported")) == "tf2onnx"


def test_a_step_for_each_variant_but_the_first_in_the_order_of_the_rows(volume):
    steps = conversion_steps.compare_conversion_steps(evaluate(volume, dict.fromkeys(ORDER, answers(10))))
    assert [step.after for step in steps] == list(ORDER[1:])
    assert [(step.after, step.before) for step in steps] == [pair for pair in ORIGINS.items() if pair[1]]


def test_a_step_tells_what_was_lost_in_it_alone(volume):
    """The reference has 10 wrong, ONNX Runtime's float 12, its int8 15: the last step lost three."""
    outputs = {"keras.fp32": answers(10), "onnx.fp32": answers(12), "onnx.int8": answers(15)}
    step = compare(volume, outputs)["onnx.int8"]
    pairs = step.paired
    assert (pairs.both_right, pairs.only_reference, pairs.only_variant, pairs.both_wrong) == (85, 3, 0, 12)
    assert (step.drift.images, step.drift.changed, pairs.delta_pp) == (100, 3, -3.0)


@pytest.mark.parametrize("absent", ["onnx.fp32", "torch.fp32"])
def test_a_missing_variant_takes_its_steps_and_no_others(volume, absent):
    steps = compare(volume, {name: answers(10) for name in ORDER if name != absent})
    assert list(steps) == [name for name, before in ORIGINS.items() if before and absent not in (name, before)]


def test_without_answers_there_are_no_steps(volume):
    assert compare(volume, {}) == {}
    assert compare(volume, {"onnx.int8": answers(3)}) == {}


def test_the_inputs_that_are_no_models_lead_nowhere(volume):
    """Whatever their order: images to calibrate with are not what a variant was made from."""
    steps = [
        replace(step, inputs=("dataset", "calibration", *step.inputs)) if step.output == "torch.fp32" else step
        for step in volume.plan.steps
    ]
    volume.plan = replace(volume.plan, steps=tuple(steps))
    assert conversion_steps.find_origin(evidence(volume), volume.plan.step("torch.fp32"))[0] == "onnx.fp32"


def test_an_arrow_leads_only_to_what_was_made_of_it():
    """Two frameworks start from the ONNX file: the second doesn't come from the first."""
    comparison = comparisons.comparison()
    drift = comparison.conversion_steps[0].drift
    ways = (("keras.fp32", "onnx.fp32"), ("onnx.fp32", "openvino.fp32"), ("onnx.fp32", "torch.fp32"))
    change = FormatConversion("a", "b")
    steps = tuple(ConversionStep(change, before, after, (), drift, None) for before, after in ways)
    stops = tables.chain(replace(comparison, conversion_steps=steps))
    leading = [(stop.name, stop.leads) for stop in stops]
    assert leading == [("keras.fp32", True), ("onnx.fp32", True), ("openvino.fp32", False), ("torch.fp32", False)]
