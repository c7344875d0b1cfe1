"""Draws of the calibration set, curves, splits, and steps that are made because others need them."""

import pytest
from evidence_makers import INPUTS, default_experiment

from driver.catalog import declarations
from driver.experiment.model import Curve, Model, Source
from driver.plan import schedule
from driver.plan.expand import mark_needed_steps
from shared.contract import Step

RECIPES = {"onnx": {"a": {}, "b": {}}}


def make(**changes):
    return schedule.make(default_experiment(recipes=RECIPES, **changes), declarations.load(), INPUTS, 2)


def by_default(plan):
    return [step.output for step in schedule.select(plan, [])]


def test_each_draw_has_a_seed_of_its_own_and_every_recipe():
    plan = make(draws=3)
    seeds = [plan.step(name).parameters["seed"] for name in ("calibration", "calibration.d2", "calibration.d3")]
    assert seeds == [0, 1, 2]
    for recipe in ("a", "b"):
        assert "calibration.d3" in plan.step(f"onnx.{recipe}.d3").inputs
        assert plan.step(f"onnx.{recipe}.d3").parameters == plan.step(f"onnx.{recipe}").parameters
        assert plan.step(f"predictions.onnx.{recipe}.d3").inputs == (f"onnx.{recipe}.d3", "dataset")


def test_further_draws_are_predicted_with_and_nothing_else():
    plan = make(draws=2)
    reading = [step for step in plan.steps if "onnx.a.d2" in step.inputs + step.optional]
    assert [step.output for step in reading] == ["predictions.onnx.a.d2"]


def test_calibration_sets_of_other_sizes_are_evaluated_on_training_images():
    plan = make(curve=Curve((25, 100), ("onnx.a",)))
    assert plan.step("calibration.n25").parameters["images"] == 25
    assert plan.step("predictions.onnx.a.n100").inputs == ("onnx.a.n100", "selection")
    assert "onnx.b.n25" not in plan.locations
    assert {"selection", "onnx.a.n25", "predictions.onnx.a.n25"} <= set(by_default(plan))


def test_the_selection_set_shares_no_image_with_any_draw():
    plan = make(draws=2, curve=Curve((25,), ("onnx.a",)))
    assert set(plan.step("selection").optional) == {"calibration", "calibration.d2", "calibration.n25"}
    assert set(plan.step("holdout").optional) == set(plan.step("selection").optional)


def test_where_the_selection_set_evaluates_nothing_reads_the_test_images():
    plan = make(split="selection")
    assert plan.step("dataset").run == "selection"
    assert "dataset" in by_default(plan)
    assert not [step.output for step in plan.steps if step.run == "dataset" or "selection" in step.inputs]
    assert plan.step("predictions.onnx.a").inputs == ("onnx.a", "dataset")


@pytest.mark.parametrize("split", ["test", "selection"])
def test_the_labels_of_what_evaluates_are_made(split):
    """No stage reads them where nothing is emulated: the driver does."""
    plan = make(split=split)
    assert {"dataset", "labels"} <= set(by_default(plan))
    assert plan.step("labels").run == {"test": "labels", "selection": "selection_labels"}[split]


def test_nothing_of_the_selection_is_made_where_nobody_asks():
    assert not {"selection", "holdout"} & set(by_default(make()))


@pytest.mark.parametrize("default", [True, False])
def test_what_a_default_step_needs_is_made_by_default(default):
    chain = [
        Step("a", "onnx", "run", (), (), {}, False),
        Step("b", "onnx", "run", ("a",), (), {}, False),
        Step("c", "onnx", "run", ("b",), (), {}, default),
        Step("d", "onnx", "run", ("a",), (), {}, False),
    ]
    assert [step.output for step in mark_needed_steps(chain) if step.default] == (["a", "b", "c"] if default else [])


def test_ones_own_data_are_read_first_and_cifar10_is_not():
    plan, own = make(), make(options={"data": {"kind": "npz"}})
    assert "data" not in plan.locations
    assert {plan.step(name).inputs for name in ("dataset", "calibration")} == {("input.dataset",)}
    assert own.step("data").parameters["kind"] == "npz"
    assert {own.step(name).inputs for name in ("dataset", "calibration", "holdout")} == {("data",)}
    assert by_default(own)[0] == "data"


def test_a_start_from_onnx_has_no_keras_rows():
    model = Model((Source(path="net.onnx"),))
    plan = make(model=model, reference="onnx.fp32")
    assert (plan.step("exported").image, plan.step("exported").run) == ("onnx", "import_model")
    assert not [name for name in plan.locations if "keras." in name or name.endswith(".keras")]
    assert make().step("exported").image == "keras"


def test_what_is_made_of_the_keras_model_alone_is_left_out_without_one():
    chosen = default_experiment(recipes={"litert": {"int8": {}}}, model=Model((Source(path="net.onnx"),)))
    plan = schedule.make(chosen, declarations.load(["litert"]), INPUTS, 2)
    assert not [name for name in plan.locations if name.startswith(("litert.", "predictions.litert."))]
