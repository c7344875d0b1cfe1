"""From an experiment to its steps: what is made, from what, in which order, and by as few starts as can be."""

import shutil
from dataclasses import replace
from itertools import groupby

import pytest
from evidence_makers import INPUTS, default_experiment

from driver import catalog, experiment, plan
from driver.catalog import Stage
from driver.experiment import Limits
from shared.contract import Step
from shared.errors import CrossquantError
from shared.store import ROOT

CONVERTED = ["dataset", "keras.fp32", "exported", "onnx.fp32"]  # what every variant of ONNX Runtime and PyTorch needs


def make(chosen=None, known=None, cpus=2):
    return plan.make(chosen or default_experiment(), known or catalog.load(), INPUTS, cpus)


def starts(steps):
    return [image for image, _ in groupby(steps, key=lambda step: step.image)]


def outputs(steps):
    return [step.output for step in steps]


def step(output, image, *inputs, optional=(), default=True):
    return Step(output, image, "run", inputs, optional, {}, default)


def test_the_default_experiment_starts_each_image_once():
    assert starts(plan.select(make(), [])) == ["keras", "onnx", "torch"]


def test_the_whole_default_plan():
    recipes = {"onnx": ["int8", "uint8", "u8s8"], "torch": ["int8", "x86", "uint8"]}
    wanted = {"dataset", "calibration", "exported", "trained"}
    for image in ("keras", "onnx", "torch"):
        variants = [f"{image}.{recipe}" for recipe in ("fp32", *recipes.get(image, []))]
        wanted |= {*variants, *(f"predictions.{name}" for name in variants), f"latency.{image}"}
    made = outputs(make().steps)
    assert len(made) == len(set(made))
    assert set(made) == wanted


def test_every_step_comes_after_what_it_reads():
    there = set(INPUTS)
    for made in make().steps:
        assert {*made.inputs, *made.optional} <= there, made.output
        there.add(made.output)


def test_training_is_not_in_a_run_that_names_no_target():
    made = make()
    assert set(outputs(made.steps)) - set(outputs(plan.select(made, []))) == {"trained"}


def test_recipes_and_options_become_parameters():
    chosen = default_experiment(
        recipes={"onnx": {"mine": {"per_channel": True}}}, options={"predict": {"batch_size": 7}}
    )
    made = make(chosen)
    assert made.step("onnx.mine").parameters["per_channel"] is True
    assert made.step("onnx.mine").parameters["activation"] == "int8"
    assert made.step("predictions.onnx.mine").parameters == {"batch_size": 7}
    assert made.step("predictions.onnx.mine").inputs == ("onnx.mine", "dataset")
    assert [name for name in outputs(made.steps) if name.startswith("torch.")] == ["torch.fp32"]


def test_patterns_become_the_variants_and_their_predictions():
    made = make(default_experiment(recipes={"onnx": {"a": {}}}))
    wanted = ("onnx.fp32", "onnx.a", "predictions.onnx.fp32", "predictions.onnx.a")
    assert sorted(made.step("latency.onnx").optional) == sorted(wanted)
    assert made.step("latency.keras").optional == ("keras.fp32", "predictions.keras.fp32")


def test_locations_are_the_inputs_and_a_folder_for_each_artifact():
    made = make()
    assert made.locations["input.dataset"] == INPUTS["input.dataset"]
    assert made.locations["onnx.int8"] == "resnet8-cifar10/onnx/onnx.int8"
    assert set(made.locations) == {*INPUTS, *outputs(made.steps)}


@pytest.mark.parametrize(("asked", "there", "threads"), [(2, 8, 2), (8, 2, 2), (1, 1, 1)])
def test_no_more_threads_than_the_host_has(asked, there, threads):
    made = make(default_experiment(limits=Limits(cpus=asked, stage_seconds=5)), cpus=there)
    assert (made.threads, made.stage_seconds) == (threads, 5)


def test_a_changed_recipe_changes_only_its_own_step():
    chosen = default_experiment()
    recipes = {**chosen.recipes, "onnx": {**chosen.recipes["onnx"], "int8": {"per_channel": True}}}
    before, after = make(chosen), make(replace(chosen, recipes=recipes))
    changed = [new.output for old, new in zip(before.steps, after.steps, strict=True) if old != new]
    assert changed == ["onnx.int8"]
    assert (before.code, before.locations) == (after.code, after.locations)


@pytest.mark.parametrize(
    ("targets", "wanted"),
    [
        (["dataset"], ["dataset"]),
        (["trained"], ["trained"]),
        (["exported"], CONVERTED[:3]),
        (["onnx.int8"], [*CONVERTED, "calibration", "onnx.int8"]),
        (["predictions.torch.fp32"], [*CONVERTED, "torch.fp32", "predictions.torch.fp32"]),
        (["latency.keras"], ["dataset", "keras.fp32", "predictions.keras.fp32", "latency.keras"]),
        (["dataset", "onnx.u8s8", "dataset"], [*CONVERTED, "calibration", "onnx.u8s8"]),
    ],
)
def test_a_target_takes_what_it_needs_and_nothing_else(targets, wanted):
    made = make()
    selected = plan.select(made, targets)
    assert sorted(outputs(selected)) == sorted(wanted)
    assert selected == [step for step in made.steps if step in selected]


def test_an_unknown_target_names_the_known_ones():
    made = make()
    with pytest.raises(CrossquantError) as caught:
        plan.select(made, ["onnx.int8", "onnx.int9"])
    known = ", ".join(outputs(made.steps))
    assert str(caught.value) == f"unknown artifact 'onnx.int9': this experiment makes {known}"
    assert caught.value.exit_code == 2


def test_an_input_that_nobody_makes_is_named():
    known = catalog.load() | {"extra": (Stage("count", "counted", ("datasets", "dataset")),)}
    with pytest.raises(CrossquantError) as caught:
        make(known=known)
    assert str(caught.value) == "'counted' needs ['datasets']: no stage makes it"


def test_an_optional_input_that_nobody_makes_is_no_obstacle():
    known = catalog.load() | {"extra": (Stage("count", "counted", ("dataset",), optional=("extra.*",)),)}
    assert make(known=known).step("counted").optional == ()


def test_steps_that_wait_for_each_other_are_refused():
    with pytest.raises(CrossquantError, match=r"^'a' needs "):
        list(plan.batches([step("a", "one", "b"), step("b", "one", "a")], set()))


def test_an_image_that_can_do_all_it_has_left_goes_first():
    """`two` can do more at once, yet would have to be started again after `one`."""
    steps = [step("b", "two"), step("c", "two"), step("d", "two", "a"), step("a", "one")]
    found = list(plan.batches(steps, set()))
    assert [outputs(batch) for batch in found] == [["a"], ["b", "c", "d"]]


def test_where_two_starts_are_needed_the_image_that_can_do_most_goes_first():
    steps = [step("a", "one"), step("b", "one", "d"), step("c", "two"), step("d", "two"), step("e", "two", "a")]
    found = list(plan.batches(steps, set()))
    assert [outputs(batch) for batch in found] == [["c", "d"], ["a", "b"], ["e"]]


def test_optional_inputs_are_made_first():
    steps = [step("timed", "one", optional=("model",)), step("model", "one")]
    assert outputs(next(plan.batches(steps, set()))) == ["model", "timed"]


def test_a_fourth_image_enters_the_plan_by_its_folder(tmp_path):
    for path in (ROOT / "images").glob("*/stages.toml"):
        (tmp_path / "images" / path.parent.name).mkdir(parents=True)
        shutil.copy(path, tmp_path / "images" / path.parent.name)
    extra = tmp_path / "images" / "extra"
    extra.mkdir()
    (extra / "stages.toml").write_text(
        '[[stage]]\nrun = "convert"\ninputs = ["onnx.fp32"]\noutput = "extra.fp32"\n'
        '[[stage]]\nrun = "quantize"\ninputs = ["extra.fp32", "calibration"]\noutput = "extra.{recipe}"\n'
        "[stage.options]\nbits = { default = 8, values = [4, 8] }\n"
        '[[stage]]\nrun = "predict"\ninputs = ["{variant}", "dataset"]\noutput = "predictions.{variant}"\n'
        '[[stage]]\nrun = "latency"\ninputs = ["dataset"]\n'
        'optional = ["extra.*", "predictions.extra.*"]\noutput = "latency.extra"\n'
    )
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        experiment.find(experiment.DEFAULT).read_text().replace("  torch:", "  extra:\n    w4: {bits: 4}\n  torch:")
    )
    known = catalog.load(tmp_path)
    made = make(experiment.load(mine, known), known)
    steps = [step for step in made.steps if step.image == "extra"]
    predictions = ["predictions.extra.fp32", "predictions.extra.w4"]
    assert sorted(outputs(steps)) == ["extra.fp32", "extra.w4", "latency.extra", *predictions]
    assert made.step("extra.w4").parameters == {"bits": 4}
    assert sorted(made.step("latency.extra").optional) == ["extra.fp32", "extra.w4", *predictions]
    assert sorted(starts(plan.select(made, []))) == ["extra", "keras", "onnx", "torch"]
