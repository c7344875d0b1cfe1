"""Recipes are chosen on training images alone, and the winners go into an experiment that the test set judges."""

from dataclasses import replace
from types import SimpleNamespace

import comparisons
import pytest
import yaml
from evidence_makers import INPUTS
from variant_makers import change

from driver.analysis.results import Draws, Gate, Latency, Noise
from driver.catalog import declarations
from driver.cli import main as command_line
from driver.cli import select_recipes
from driver.comparison import selection
from driver.decision import ranking
from driver.decision.ranking import Choice
from driver.experiment import loader, model
from driver.experiment.model import Select
from driver.experiment.recipes import resolve_recipes
from driver.plan import schedule
from shared.artifacts import store
from shared.command import DEFAULT_EXPERIMENT

NOISE = (Noise("onnx", "onnx.fp32", 0.05),)
NAMES = ("a", "b", "c", "d")
FEW = Select("default")


def row(name, milliseconds, *accuracies, **changes):
    image, _, recipe = name.partition(".")
    variant = change(comparisons.variant("onnx.int8"), name=name, image=image, recipe=recipe, accuracy=accuracies[0])
    latency = None if milliseconds is None else Latency(milliseconds, 2.0, 3.0, 140)
    mean = sum(accuracies) / len(accuracies)
    draws = Draws(accuracies, mean, 0.001, 0.0) if len(accuracies) > 1 else None
    return replace(variant, latency_ms=latency, draws=draws, **changes)


TWIN = row("onnx.fp32", 1.0, 0.88)


def choose(*rows, noise=NOISE):
    return ranking.choose(comparisons.comparison(variants=rows, noise=noise))


def only(*rows, noise=NOISE):
    (choice,) = choose(TWIN, *rows, noise=noise)
    return choice


def test_most_accurate_is_the_fastest_of_those_that_the_draws_do_not_tell_apart():
    best = row("onnx.best", 0.9, 0.871, 0.874, 0.870, 0.873, 0.872)
    as_good = row("onnx.good", 0.5, 0.872, 0.870, 0.873, 0.871, 0.872)
    worse = row("onnx.worse", 0.2, 0.861, 0.864, 0.860, 0.863, 0.861)
    assert only(best, as_good, worse).accuracy == only(worse, as_good, best).accuracy == "onnx.good"


def test_it_is_the_mean_of_the_draws_that_counts_not_the_luckiest():
    lucky = row("onnx.lucky", 0.5, 0.876, 0.850, 0.851, 0.850, 0.850)
    steady = row("onnx.steady", 0.5, 0.875, 0.874, 0.875, 0.874, 0.875)
    assert only(lucky, steady).accuracy == "onnx.steady"


def test_a_recipe_without_a_calibration_set_is_held_against_the_draws_of_the_others():
    """Else float16 or a dynamic recipe, which no draw touches, would be the most accurate one by a hair, and slow."""
    calibrated = row("onnx.int8", 0.5, 0.871, 0.873, 0.870, 0.873, 0.872)
    assert only(row("onnx.float16", 0.9, 0.8719), calibrated).accuracy == "onnx.int8"
    assert only(row("onnx.float16", 0.9, 0.8790), calibrated).accuracy == "onnx.float16"


def test_with_a_single_draw_only_the_very_same_accuracy_is_equal():
    rows = [row("onnx.a", 0.9, 0.8702), row("onnx.b", 0.5, 0.8701)]
    assert only(*rows).accuracy == "onnx.a"
    assert only(rows[0], row("onnx.b", 0.5, 0.8702)).accuracy == "onnx.b"


def test_least_latency_is_the_most_accurate_of_those_within_the_noise_of_the_timings():
    rows = [row("onnx.a", 0.50, 0.86), row("onnx.b", 0.52, 0.87), row("onnx.c", 0.53, 0.88)]
    assert only(*rows).latency == "onnx.b"
    assert only(*rows, noise=()).latency == "onnx.a"


@pytest.mark.parametrize(
    ("rows", "recommended"),
    [
        ([row("onnx.a", 0.9, 0.8709), row("onnx.b", 0.5, 0.8702), row("onnx.c", 0.3, 0.8690)], "onnx.b"),
        ([row("onnx.a", 1.5, 0.89), row("onnx.b", 0.9, 0.87)], "onnx.b"),
        ([row("onnx.a", 1.0, 0.89), row("onnx.b", 0.9, 0.87)], "onnx.b"),
        ([row("onnx.a", 1.5, 0.89), row("onnx.b", 1.2, 0.87)], "onnx.a"),
    ],
    ids=["within-the-tolerance", "faster-than-float", "as-fast-is-not-faster", "none-is-faster"],
)
def test_recommended_is_the_fastest_of_the_accurate_ones_that_beat_their_float_baseline(rows, recommended):
    assert only(*rows).recommended == recommended
    assert only(*rows[::-1]).recommended == recommended


def test_without_timings_of_the_float_baseline_every_recipe_may_be_recommended():
    (choice,) = choose(replace(TWIN, latency_ms=None), row("onnx.a", 9.0, 0.87))
    assert choice.recommended == "onnx.a"


def test_the_front_has_what_nothing_else_beats_the_fastest_first():
    rows = [
        row("onnx.slow", 0.9, 0.88),
        row("onnx.fast", 0.2, 0.85),
        row("onnx.beaten", 0.5, 0.84),
        row("onnx.middle", 0.4, 0.87),
        row("onnx.tied", 0.6, 0.87),
        row("onnx.same-time", 0.2, 0.84),
    ]
    assert only(*rows).front == only(*rows[::-1]).front == ("onnx.fast", "onnx.middle", "onnx.slow")


def test_of_recipes_that_are_equal_the_front_has_the_first():
    rows = [row("onnx.slow", 0.9, 0.88), row("onnx.b", 0.2, 0.85), row("onnx.a", 0.2, 0.85)]
    assert only(*rows).front == ("onnx.b", "onnx.slow")
    assert only(*rows[::-1]).front == ("onnx.a", "onnx.slow")


def test_one_recipe_wins_everything_once():
    choice = only(row("onnx.a", 0.5, 0.87))
    assert choice == Choice("onnx", "onnx.a", "onnx.a", "onnx.a", "", ("onnx.a",))
    assert choice.winners == ("onnx.a",)


def test_winners_are_named_once_each_the_recommended_first():
    assert Choice("onnx", "onnx.a", "onnx.b", "onnx.a", "", ()).winners == ("onnx.a", "onnx.b")
    assert Choice("onnx", "onnx.a", "onnx.c", "onnx.b", "", ()).winners == ("onnx.b", "onnx.a", "onnx.c")


def test_a_safe_recipe_is_named_where_there_is_one():
    rows = (TWIN, row("onnx.a", 0.4, 0.88), row("onnx.b", 0.5, 0.87), row("onnx.c", 0.45, 0.8))
    (choice,) = ranking.choose(comparisons.comparison(variants=rows, noise=NOISE), {"onnx.b", "onnx.c"})
    assert (choice.recommended, choice.safe) == ("onnx.a", "onnx.b")
    assert choice.winners == ("onnx.a", "onnx.b")


def test_what_has_no_sound_answers_or_no_timings_is_not_chosen():
    rows = [
        row("onnx.failed", 0.1, 0.99, status="failed"),
        row("onnx.untimed", None, 0.99),
        comparisons.empty("onnx.refused", "unsupported", "no"),
        row("onnx.a", 0.5, 0.87),
    ]
    assert only(*rows).front == ("onnx.a",)
    assert choose(TWIN, *rows[:3]) == choose(TWIN) == choose() == ()


def test_each_image_has_its_own_choice_and_baseline():
    rows = [row("torch.fp32", 5.0, 0.88), row("torch.a", 4.0, 0.80), row("onnx.a", 0.5, 0.87)]
    assert [(choice.image, choice.recommended) for choice in choose(TWIN, *rows)] == [
        ("torch", "torch.a"),
        ("onnx", "onnx.a"),
    ]


RIVALS = (
    TWIN,
    row("onnx.a", 0.40, 0.88, timings=()),
    row("onnx.b", 0.50, 0.87, timings=(), size_bytes=90_000),
    row("torch.fp32", 1.0, 0.88),
    row("torch.a", 0.41, 0.87, timings=(), size_bytes=50_000),
    row("torch.b", 0.60, 0.85, timings=(), size_bytes=40_000),
)
RIVAL_CHOICES = (
    Choice("onnx", "onnx.a", "onnx.a", "onnx.a", "onnx.b", ()),
    Choice("torch", "torch.a", "torch.a", "torch.a", "", ()),
)


@pytest.mark.parametrize(
    ("prefer", "noise", "overall"),
    [
        (model.Prefer(), (), "onnx.a"),
        (model.Prefer(), NOISE, "torch.a"),  # as fast within the noise, and smaller
        (model.Prefer("size"), (), "torch.a"),
        (model.Prefer("accuracy"), (), "onnx.a"),
    ],
)
def test_the_overall_winner_is_the_best_recommended_one_by_what_is_preferred(prefer, noise, overall):
    trial = comparisons.comparison(variants=RIVALS, noise=noise)
    assert ranking.choose_overall(RIVAL_CHOICES, trial, prefer, everywhere=False) == overall


def test_where_other_cpus_are_targets_the_overall_winner_answers_alike_on_all_if_any_does():
    trial = comparisons.comparison(variants=RIVALS, noise=())
    assert ranking.choose_overall(RIVAL_CHOICES, trial, model.Prefer(), everywhere=True) == "onnx.b"
    assert ranking.choose_overall(RIVAL_CHOICES[1:], trial, model.Prefer(), everywhere=True) == "torch.a"


def test_in_the_final_the_overall_winner_is_tested_first_and_the_others_in_their_order():
    final = selection.make_final(given(), FEW, CHOICES, "torch.x86", TRIED)
    assert (final["recommended"], final["multiplicity"]) == (["torch.x86", "onnx.u8s8", "onnx.int8"], "sequence")


def given(**changes):
    """An experiment's file that has all that an experiment may have."""
    data = yaml.safe_load(loader.find(DEFAULT_EXPERIMENT).read_text())
    more = {
        "targets": ["here", "haswell"],
        "recommended": ["onnx.int8"],
        "curve": {"images": [25], "variants": ["onnx.int8", "torch.x86"]},
    }
    return data | more | changes


def loaded(data):
    return loader.load(selection.write_experiment(data, selection.WHY_TRIAL), declarations.load())


def steps(chosen):
    return schedule.make(chosen, declarations.load(), INPUTS, 2)


@pytest.mark.usefixtures("volumes")
def test_in_the_trial_nothing_reads_the_test_images():
    plan = steps(loaded(selection.make_trial(given(), FEW)))
    assert plan.step("dataset").run == "selection"
    assert not [step.output for step in plan.steps if step.run == "dataset"]
    judged = [step for step in plan.steps if step.output.startswith("predictions.")]
    assert {step.inputs[1] for step in judged} == {"dataset"}


@pytest.mark.usefixtures("volumes")
def test_the_judge_of_the_trial_shares_no_image_with_any_draw_and_no_draw_has_anothers_seed():
    plan = steps(loaded(selection.make_trial(given(), FEW)))
    drawn = [step for step in plan.steps if step.run == "calibration"]
    assert set(plan.step("dataset").optional) == {step.output for step in drawn}
    assert [step.parameters["seed"] for step in drawn] == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("volumes")
def test_the_trial_asks_for_nothing_that_does_not_rank():
    data = given()
    before = yaml.safe_dump(data)
    trial = loaded(selection.make_trial(data, FEW))
    assert trial.name == "resnet8-cifar10.select"
    assert (trial.gates, trial.curve, trial.recommended, trial.other_cpus) == (
        model.Gates(),
        model.Curve(),
        (),
        (),
    )
    assert trial.options == {"calibration": {"images": 1000, "seed": 0}}
    assert yaml.safe_dump(data) == before, "the file that was asked for is as it was"


@pytest.mark.parametrize(("asked", "draws"), [({}, 5), ({"draws": 2}, 5), ({"draws": 9}, 9)])
def test_both_have_five_draws_at_least(asked, draws):
    assert selection.make_trial(given(**asked), FEW)["draws"] == draws
    assert selection.make_final(given(**asked), FEW, (), "onnx.int8", {})["draws"] == draws


MINE = {"onnx": {"base": {}, "mine": {"recipe": "base", "per_channel": True}}}


@pytest.mark.usefixtures("volumes")
@pytest.mark.parametrize(
    ("recipes", "own"),
    [
        ("default", set()),
        ({"preset": "default"}, set()),
        (MINE, {*MINE["onnx"]}),
        ({"preset": "default", **MINE}, {*MINE["onnx"]}),
    ],
)
def test_the_trial_has_the_preset_and_the_experiments_own_recipes(recipes, own):
    trial = loaded(selection.make_trial(given(recipes=recipes), FEW))
    preset = resolve_recipes("default")
    assert set(trial.recipes["onnx"]) == {*preset["onnx"], *own}
    assert set(trial.recipes["torch"]) == set(preset["torch"])
    if own:
        assert trial.recipes["onnx"]["mine"] == {"per_channel": True}


CHOICES = (
    Choice("onnx", "onnx.int8", "onnx.u8s8", "onnx.u8s8", "", ("onnx.u8s8", "onnx.int8")),
    Choice("torch", "torch.x86", "torch.x86", "torch.x86", "", ("torch.x86",)),
)
TRIED = resolve_recipes("default")


@pytest.mark.usefixtures("volumes")
def test_the_final_has_the_winners_alone_and_the_test_set_as_its_judge():
    final = loaded(selection.make_final(given(), FEW, CHOICES, "torch.x86", TRIED))
    assert final.name == "resnet8-cifar10.selected"
    assert final.recipes == {
        "onnx": {"int8": TRIED["onnx"]["int8"], "u8s8": TRIED["onnx"]["u8s8"]},
        "torch": {"x86": TRIED["torch"]["x86"]},
    }
    assert final.split == "test"
    assert steps(final).step("dataset").run == "dataset"
    assert final.recommended == final.emulated == ("torch.x86", "onnx.u8s8", "onnx.int8")
    assert final.gates.quantized["drop_pp"].max == 2.0


@pytest.mark.usefixtures("volumes")
def test_the_final_of_an_experiment_that_chooses_is_judged_by_the_test_set_too():
    assert loaded(selection.make_final(given(split="selection"), FEW, CHOICES, "torch.x86", TRIED)).split == "test"


@pytest.mark.usefixtures("volumes")
@pytest.mark.parametrize(
    ("variants", "left"),
    [(["onnx.int8", "torch.int8"], ("onnx.int8",)), (["torch.int8"], ())],
)
def test_a_curve_of_what_did_not_win_is_left_out(variants, left):
    """It names a variant that the final doesn't have; a curve of nothing would draw calibration sets for nobody."""
    final = loaded(
        selection.make_final(given(curve={"images": [25], "variants": variants}), FEW, CHOICES, "torch.x86", TRIED)
    )
    assert final.curve.variants == left
    assert final.curve.images == ((25,) if left else ())


@pytest.mark.usefixtures("volumes")
def test_a_quantized_reference_stays_though_it_did_not_win():
    final = loaded(selection.make_final(given(reference="torch.int8"), FEW, CHOICES, "torch.x86", TRIED))
    assert set(final.recipes["torch"]) == {"int8", "x86"}
    assert final.recommended == ("torch.x86", "onnx.u8s8", "onnx.int8")


def test_every_setting_is_read_back_from_the_file_as_it_was(volumes):
    settings = {"a": 99.99, "b": 1e-05, "c": True, "d": "1e5", "e": [], "f": ["x: y", "no"], "g": None, "h": "0123"}
    data = {"name": "größe", "recipes": {"onnx": {"int8": settings}}}
    path = selection.write_experiment(data, "Why: because.")
    assert path == volumes / "inputs" / "größe.yaml"
    assert path.read_text().startswith("# Why: because.\nname: größe\n")
    read = yaml.safe_load(path.read_text())
    assert read == data
    assert [type(value) for value in read["recipes"]["onnx"]["int8"].values()] == [type(v) for v in settings.values()]


@pytest.fixture
def ran(monkeypatch):
    """Make `run --select` compare what it is given, one after the other; the experiments that were run."""
    experiments = []

    def give(*results):
        waiting = list(results)
        monkeypatch.setattr(
            select_recipes,
            "make_artifacts",
            lambda chosen, *_, **__: experiments.append(chosen) or SimpleNamespace(freshness=None),
        )
        monkeypatch.setattr(select_recipes, "compare_artifacts", lambda *_, **__: waiting.pop(0))
        return experiments

    return give


def test_the_command_ranks_then_tests_the_winners(ran, volumes, capsys):
    experiments = ran(comparisons.comparison(), comparisons.comparison())
    assert command_line.main(["run", "--select"]) == 0
    trial, final = experiments
    assert (trial.name, trial.split) == ("resnet8-cifar10.select", "selection")
    assert (final.name, final.split) == ("resnet8-cifar10.selected", "test")
    choices = ranking.choose(
        comparisons.comparison(), selection.find_cpu_invariant_variants(declarations.load(), trial.recipes)
    )
    overall = ranking.choose_overall(choices, comparisons.comparison(), trial.prefer, everywhere=True)
    assert final.recommended == tuple(dict.fromkeys([overall, *(name for each in choices for name in each.winners)]))
    assert final.multiplicity == "sequence"
    out = capsys.readouterr().out
    assert all(f"{choice.image}: {choice.recommended} is recommended" in out for choice in choices)
    assert f"{overall} is the overall winner" in out
    assert sorted(path.name for path in (volumes / "inputs").iterdir()) == [
        "resnet8-cifar10.select.yaml",
        "resnet8-cifar10.selected.yaml",
    ]
    assert loader.find(final.name) == store.volumes() / "inputs" / f"{final.name}.yaml"


FINE = comparisons.comparison()
FAILING = comparisons.comparison(variants=(*FINE.variants, comparisons.empty("onnx.x", "failed", "killed")))
BROKEN = comparisons.comparison(gates=(Gate("onnx.int8", "accuracy", "min", 0.9, 0.88, False),))


@pytest.mark.parametrize(
    ("ranked", "tested", "code"),
    [(FINE, FINE, 0), (FINE, BROKEN, 1), (FINE, FAILING, 3), (FAILING, FINE, 3), (FAILING, BROKEN, 3)],
)
def test_a_failure_in_either_run_is_in_the_exit_code(ran, ranked, tested, code):
    ran(ranked, tested)
    assert command_line.main(["run", "--select"]) == code


def test_where_there_is_nothing_to_choose_from_that_is_an_error_in_one_line(ran, capsys):
    experiments = ran(comparisons.comparison(variants=(*FINE.variants[:3], FINE.variants[-1])))
    assert command_line.main(["run", "--select"]) == 3
    assert len(experiments) == 1
    captured = capsys.readouterr()
    assert "Chosen on" not in captured.out
    assert captured.err == (
        "error: nothing to choose from: no recipe has both answers and timings; the table above says why\n"
    )
