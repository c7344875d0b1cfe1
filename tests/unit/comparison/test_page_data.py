"""The raw evidence of the page: what was explained, and only that."""

from dataclasses import asdict, replace

import pytest
import thorough
from evidence_makers import Volume, default_experiment

from driver.analysis.artifacts import Evidence
from driver.analysis.evaluation import Evaluation
from driver.comparison import page_data
from shared.artifacts.freshness import Freshness
from shared.contract import Step
from shared.sensitivity import layer_errors

EXPLAINED = ("onnx.int8", "onnx.u8s8", "onnx.uint8", "onnx.fp32")


@pytest.fixture
def volume():
    """Each of EXPLAINED can be explained, whichever stages the images have."""
    new_volume = Volume(default_experiment())
    own = [
        Step(f"explain.{name}", "onnx", "explain", (name, "onnx.fp32", "calibration"), (), {}, default=False)
        for name in EXPLAINED
    ]
    others = [step for step in new_volume.plan.steps if step.run != "explain"]
    places = {step.output: f"{new_volume.experiment.name}/onnx/{step.output}" for step in own}
    new_volume.plan = replace(new_volume.plan, steps=(*others, *own), locations={**new_volume.plan.locations, **places})
    new_volume.freshness = Freshness(new_volume.plan)
    return new_volume.whole()


def test_the_page_gets_what_explain_found_of_each_quantized_variant(volume):
    sensitivity = thorough.explained()["onnx.int8"]
    for name in ("onnx.int8", "onnx.fp32"):
        volume.publish(f"explain.{name}", {layer_errors.FILE: asdict(replace(sensitivity, variant=name))})
    volume.publish("explain.onnx.uint8", refused="no layer of it is quantized")
    data = page_data.collect_page_data(Evaluation(Evidence(volume.freshness), "keras.fp32"), "name: x")
    assert data.explained == {"onnx.int8": sensitivity}


def test_what_was_explained_of_an_older_file_is_not_shown(volume):
    sensitivity = thorough.explained()["onnx.int8"]
    volume.publish("explain.onnx.int8", {layer_errors.FILE: asdict(sensitivity)})
    volume.publish("onnx.int8", {"model.bin": b"another recipe's"})
    volume.freshness.forget()
    assert page_data.load_explanations(Evidence(volume.freshness)) == {}
