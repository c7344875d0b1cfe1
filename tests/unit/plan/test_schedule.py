"""From an experiment to its steps: what is made, from what, in which order, and by as few starts as can be."""

import shutil
from dataclasses import replace
from itertools import groupby

import pytest
from evidence_makers import INPUTS, default_experiment

from driver.catalog import declarations
from driver.catalog.declarations import Stage
from driver.experiment import loader
from driver.experiment.model import Limits, TimingBudget
from driver.plan import schedule
from shared.artifacts.store import ROOT
from shared.command import DEFAULT_EXPERIMENT
from shared.contract import Step
from shared.errors import CrossquantError

UNASKED = {
    "selection.labels",
    "trained",
    "selection",
    "holdout",
    "check",
    *(f"compatibility.{image}" for image in ("keras", "onnx", "torch")),
}  # made for who names them
CONVERTED = ["dataset", "keras.fp32", "exported", "onnx.fp32"]  # what every variant of ONNX Runtime and PyTorch needs


def make(chosen=None, stages_by_image=None, cpus=2):
    return schedule.make(chosen or default_experiment(), stages_by_image or declarations.load(), INPUTS, cpus)


def starts(steps):
    return [image for image, _ in groupby(steps, key=lambda step: step.image)]


def outputs(steps):
    return [step.output for step in steps]


def step(output, image, *inputs, optional=(), default=True):
    return Step(output, image, "run", inputs, optional, {}, default)


def test_the_default_experiment_starts_each_image_once_and_again_for_each_turn_of_the_timings():
    assert starts(schedule.select(make(), [])) == ["keras", "onnx", "torch"] * 5


def test_one_pass_of_the_timings_needs_no_second_start():
    plan = make(default_experiment(options={"latency": {"passes": 1}}))
    assert starts(schedule.select(plan, [])) == ["keras", "onnx", "torch"]
    assert [step.output for step in plan.steps if step.run == "latency" and step.default] == [
        "latency.keras",
        "latency.onnx",
        "latency.torch",
    ]


def test_the_whole_default_plan():
    recipes = {"onnx": ["int8", "uint8", "u8s8"], "torch": ["int8", "x86", "uint8"]}
    wanted = {"dataset", "labels", "calibration", "exported", *UNASKED}
    for image in ("keras", "onnx", "torch"):
        variants = [f"{image}.{recipe}" for recipe in ("fp32", *recipes.get(image, []))]
        wanted |= {*variants, *(f"predictions.{name}" for name in variants), f"startup.{image}"}
        wanted |= {f"latency.{image}", *(f"latency.{image}.{turn}" for turn in range(2, 16))}
        wanted |= {f"{run}.{name}" for run in asked_of(image) for name in variants}
    names = outputs(make().steps)
    assert len(names) == len(set(names))
    assert set(names) == wanted


def test_every_step_comes_after_what_it_reads():
    there = set(INPUTS)
    for step in make().steps:
        assert {*step.inputs, *step.optional} <= there, step.output
        there.add(step.output)


def asked_of(image):
    """What can be asked of each variant, and is not made of itself."""
    stages = [stage for stage in declarations.load()[image] if "{variant}" in stage.output and not stage.default]
    return {stage.output.partition(".")[0] for stage in stages}


def test_training_and_further_splits_are_not_in_a_run_that_names_no_target():
    plan = make()
    left = set(outputs(plan.steps)) - set(outputs(schedule.select(plan, [])))
    assert {name for name in left if name.partition(".")[0] not in ("emulation", "explain", "latency")} == UNASKED


def test_recipes_and_options_become_parameters():
    chosen = default_experiment(
        recipes={"onnx": {"mine": {"per_channel": True}}}, options={"predict": {"batch_size": 7}}
    )
    plan = make(chosen)
    assert plan.step("onnx.mine").parameters["per_channel"] is True
    assert plan.step("onnx.mine").parameters["activation"] == "int8"
    assert plan.step("predictions.onnx.mine").parameters == {"batch_size": 7}
    assert plan.step("predictions.onnx.mine").inputs == ("onnx.mine", "dataset")
    assert [name for name in outputs(plan.steps) if name.startswith("torch.")] == ["torch.fp32"]


def test_patterns_become_the_variants_and_their_predictions():
    plan = make(default_experiment(recipes={"onnx": {"a": {}}}))
    wanted = ("onnx.fp32", "onnx.a", "predictions.onnx.fp32", "predictions.onnx.a")
    assert sorted(plan.step("latency.onnx").optional) == sorted(wanted)
    assert plan.step("latency.keras").optional == ("keras.fp32", "predictions.keras.fp32")


def test_locations_are_the_inputs_and_a_folder_for_each_artifact():
    plan = make()
    assert plan.locations["input.dataset"] == INPUTS["input.dataset"]
    assert plan.locations["onnx.int8"] == "resnet8-cifar10/onnx/onnx.int8"
    assert set(plan.locations) == {*INPUTS, *outputs(plan.steps)}


@pytest.mark.parametrize(("asked", "there", "threads"), [(2, 8, 2), (8, 2, 2), (1, 1, 1)])
def test_no_more_threads_than_the_host_has(asked, there, threads):
    plan = make(default_experiment(limits=Limits(cpus=asked, stage_seconds=5)), cpus=there)
    assert (plan.threads, plan.stage_seconds) == (threads, 5)


def test_a_changed_recipe_changes_only_its_own_step():
    chosen = default_experiment()
    recipes = {**chosen.recipes, "onnx": {**chosen.recipes["onnx"], "int8": {"per_channel": True}}}
    before, after = make(chosen), make(replace(chosen, recipes=recipes))
    changed = [new.output for old, new in zip(before.steps, after.steps, strict=True) if old != new]
    assert changed == ["onnx.int8"]
    assert (before.images, before.locations) == (after.images, after.locations)


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
    plan = make()
    selected = schedule.select(plan, targets)
    assert sorted(outputs(selected)) == sorted(wanted)
    assert selected == [step for step in plan.steps if step in selected]


def test_an_unknown_target_names_the_known_ones():
    plan = make()
    with pytest.raises(CrossquantError) as caught:
        schedule.select(plan, ["onnx.int8", "onnx.int9"])
    assert str(caught.value).startswith("unknown artifact 'onnx.int9': did you mean onnx.int8, ")
    assert caught.value.exit_code == 2


def test_an_input_that_nobody_makes_is_named():
    stages_by_image = declarations.load() | {"extra": (Stage("count", "counted", ("datasets", "dataset")),)}
    with pytest.raises(CrossquantError) as caught:
        make(stages_by_image=stages_by_image)
    assert str(caught.value) == "'counted' needs ['datasets']: no stage makes it"


def test_an_optional_input_that_nobody_makes_is_no_obstacle():
    stages_by_image = declarations.load() | {"extra": (Stage("count", "counted", ("dataset",), optional=("extra.*",)),)}
    assert make(stages_by_image=stages_by_image).step("counted").optional == ()


def test_steps_that_wait_for_each_other_are_refused():
    with pytest.raises(CrossquantError, match=r"^'a' needs "):
        list(schedule.cut_batches([step("a", "one", "b"), step("b", "one", "a")], set()))


def test_an_image_that_can_do_all_it_has_left_goes_first():
    """`two` can do more at once, yet would have to be started again after `one`."""
    steps = [step("b", "two"), step("c", "two"), step("d", "two", "a"), step("a", "one")]
    batches = list(schedule.cut_batches(steps, set()))
    assert [outputs(batch) for batch in batches] == [["a"], ["b", "c", "d"]]


def test_where_two_starts_are_needed_the_image_that_can_do_most_goes_first():
    steps = [step("a", "one"), step("b", "one", "d"), step("c", "two"), step("d", "two"), step("e", "two", "a")]
    batches = list(schedule.cut_batches(steps, set()))
    assert [outputs(batch) for batch in batches] == [["c", "d"], ["a", "b"], ["e"]]


def test_optional_inputs_are_made_first():
    steps = [step("timed", "one", optional=("model",)), step("model", "one")]
    assert outputs(next(schedule.cut_batches(steps, set()))) == ["model", "timed"]


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
        loader.find(DEFAULT_EXPERIMENT)
        .read_text()
        .replace("recipes: default", "recipes:\n  preset: default\n  extra:\n    w4: {bits: 4}\n#")
    )
    stages_by_image = declarations.load(root=tmp_path)
    plan = make(loader.load(mine, stages_by_image), stages_by_image)
    steps = [step for step in plan.steps if step.image == "extra"]
    predictions = ["predictions.extra.fp32", "predictions.extra.w4"]
    assert sorted(outputs(steps)) == ["extra.fp32", "extra.w4", "latency.extra", *predictions]
    assert plan.step("extra.w4").parameters == {"bits": 4}
    assert sorted(plan.step("latency.extra").optional) == ["extra.fp32", "extra.w4", *predictions]
    images = starts(schedule.select(plan, []))
    assert sorted(images[:4]) == ["extra", "keras", "onnx", "torch"]
    assert images[4:] == [image for image in images[:4] if image != "extra"] * 4, "it repeats no timings"


def list_turns(default=True, seconds=40, **options):
    """The turns of the timings of onnx that are made by default, or those that are made on demand."""
    chosen = default_experiment(options={"latency": options}, timing=TimingBudget(seconds))
    steps = [step for step in make(chosen).steps if (step.run, step.image) == ("latency", "onnx")]
    return [step.turn for step in steps if step.default is default]


def test_five_turns_are_made_and_ten_more_may_be():
    assert list_turns() == [1, 2, 3, 4, 5]
    assert list_turns(default=False) == list(range(6, 16))


@pytest.mark.parametrize(("passes", "more"), [(1, range(2, 16)), (7, range(8, 16)), (20, ())])
def test_what_the_experiment_asks_for_is_made_whatever_is_known_by_then(passes, more):
    assert list_turns(passes=passes) == list(range(1, passes + 1))
    assert list_turns(default=False, passes=passes) == list(more)


def test_without_a_budget_there_is_no_turn_more():
    assert list_turns(seconds=0) == [1, 2, 3, 4, 5]
    assert list_turns(default=False, seconds=0) == []


def test_only_what_is_repeated_has_more_turns():
    extra = {step.run for step in make().steps if step.turn > 1}
    assert extra == {"latency"}


def test_turns_on_demand_follow_the_others_the_images_in_turn():
    later = [step for step in make().steps if step.turn > 5]
    assert outputs(later) == [
        f"latency.{image}.{turn}" for turn in range(6, 16) for image in ("keras", "onnx", "torch")
    ]
    assert outputs(make().steps)[-len(later) :] == outputs(later)


def test_a_turn_on_demand_takes_what_the_first_one_takes_and_no_other_turn():
    selected = outputs(schedule.select(make(), ["latency.keras.6"]))
    assert selected == ["dataset", "keras.fp32", "predictions.keras.fp32", "latency.keras.6"]


def timed_in_turn(passes):
    return schedule.select(make(default_experiment(options={"latency": {"passes": passes}})), [])


def test_the_images_take_turns_after_all_else():
    later = outputs(timed_in_turn(3))[-6:]
    assert later == [f"latency.{image}.{turn}" for turn in (2, 3) for image in ("keras", "onnx", "torch")]


def test_a_turn_reads_what_the_first_one_reads_and_no_other_turn():
    plan = make()
    first, *others = (plan.step(f"latency.onnx{turn}") for turn in ("", ".2", ".3"))
    assert (first.turn, [each.turn for each in others]) == (1, [2, 3])
    for each in others:
        assert replace(each, output=first.output, turn=1) == first
    assert not [name for step in plan.steps for name in (*step.inputs, *step.optional) if name.startswith("latency.")]


def test_one_pass_more_leaves_the_others_as_they_were():
    """The number of passes is no parameter of a pass: what was timed stays fresh."""
    before, after = timed_in_turn(2), timed_in_turn(3)
    assert after[: len(before)] == before
    assert outputs(after[len(before) :]) == ["latency.keras.3", "latency.onnx.3", "latency.torch.3"]
    assert "passes" not in after[-1].parameters


def test_a_turn_is_a_target():
    selected = outputs(schedule.select(make(), ["latency.keras.2"]))
    assert selected == ["dataset", "keras.fp32", "predictions.keras.fp32", "latency.keras.2"]


def test_a_cold_start_needs_no_timings():
    selected = outputs(schedule.select(make(), ["startup.keras"]))
    assert selected == ["dataset", "keras.fp32", "predictions.keras.fp32", "startup.keras"]


def test_later_turns_follow_the_images_of_the_first():
    steps = [replace(step(f"{image}.{turn}", image), turn=turn) for image in ("one", "two") for turn in (2, 3)]
    turns = schedule.order_later_turns(steps, [step("x", "two"), step("y", "one"), step("z", "two")])
    assert outputs(turns) == ["two.2", "one.2", "two.3", "one.3"]


def test_a_step_knows_the_tool_of_its_stage():
    plan = make()
    tools = {name: plan.step(name).tool for name in ("exported", "onnx.fp32", "onnx.int8", "torch.fp32", "torch.int8")}
    assert tools == {
        "exported": "tf2onnx",
        "onnx.fp32": "onnxruntime",
        "onnx.int8": "onnxruntime",
        "torch.fp32": "onnx2torch",
        "torch.int8": "torch",
    }
    assert plan.step("dataset").tool == ""
