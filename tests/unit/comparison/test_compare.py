"""The comparison of volumes written by hand: every figure, every status, and nothing that is out of date."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime

import evidence_makers
import numpy as np
import pytest
from evidence_makers import LABELS, ORDER, Volume, answers, default_experiment, evaluate, versions
from variant_makers import accuracy_of, assess_pairs, difference_of, interval_of

from driver import __version__
from driver.analysis import artifacts, output_drift, statistics
from driver.analysis.facts import (
    BusyMachine,
    ComparedWith,
    LookedBefore,
    MoreThreadsSlower,
    NothingShown,
    NotShown,
    Price,
    ReferenceUnsound,
    ShownGoodEnough,
)
from driver.analysis.results import Latency, Origin
from driver.comparison import compare as comparing
from driver.decision.run_outcome import find_exit_code
from driver.experiment.model import Bound, Gates, TimingBudget
from driver.experiment.tolerance import Tolerance
from driver.host import checkout, facts
from driver.report import files
from shared.artifacts import store
from shared.contract import Failure

pytestmark = pytest.mark.usefixtures("volumes")
MACHINE = {"cpu": "Some CPU", "int8_instructions": ["avx2"], "cores": 2, "memory_bytes": 1 << 30, "system": "Linux"}


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(facts, "describe", lambda: dict(MACHINE))


@pytest.fixture
def volume():
    return Volume(default_experiment())


def compare(volume):
    return comparing.compare(evaluate(volume), volume.experiment)


def rows(compared):
    return {row.name: row for row in compared.variants}


def lacking(name):
    return f"missing or out of date: run `./crossquant run {name}`"


def test_a_run_in_which_all_went_well(volume):
    compared = compare(volume.whole())
    assert tuple(row.name for row in compared.variants) == ORDER
    assert [row.status for row in compared.variants] == ["ok"] * 8 + ["unsupported"]
    assert compared.dataset == {
        "name": "cifar10",
        "test_images": 100,
        "split": "test",
        "sample": False,
        "classes": [],
        "task": "classification",
        "unit": "images",
        "outputs": "probabilities",
    }
    assert (compared.schema, compared.experiment, compared.reference) == (3, "resnet8-cifar10", "keras.fp32")
    assert compared.host == MACHINE
    assert compared.failures == ()
    assert find_exit_code(compared) == 0


def test_the_origin_has_the_day_of_the_newest_timings(volume, monkeypatch):
    """Not the day on which it is compared: the same evidence gives the same bytes."""
    monkeypatch.setattr(checkout, "read_commit", lambda root: "8134a9f" if root == store.ROOT else "")
    volume.start()
    volume.variant("onnx.fp32", answers(10))
    assert compare(volume).origin.measured == "", "nothing is timed"
    newest = datetime(2026, 11, 28, 23, 59, tzinfo=UTC).timestamp()
    volume.latency("onnx", "onnx.fp32", started=newest)
    volume.latency("keras", "keras.fp32", started=newest - 86_400)
    command = "./crossquant run"
    assert compare(volume).origin == Origin("2026-11-28", __version__, "8134a9f", command)


def test_it_is_told_whether_outputs_are_logits(volume):
    volume.start()
    assert compare(volume).dataset["outputs"] == "probabilities"
    volume.variant("keras.fp32", 10 * answers(10) - 5)
    assert compare(volume).dataset["outputs"] == "logits"


def test_the_figures_of_a_row(volume):
    volume.start()
    volume.variant("onnx.fp32", answers(10))
    volume.variant("onnx.int8", answers(15, sure=0.82), size=1234)
    volume.latency("onnx", "onnx.int8")
    row = rows(compare(volume))["onnx.int8"]
    assert (row.image, row.recipe, row.status, row.reason) == ("onnx", "int8", "ok", "")
    assert (accuracy_of(row), difference_of(row), row.agreement) == (0.85, -5.0, 0.95)
    assert row.max_abs_diff == pytest.approx(0.89, abs=1e-6), "0.91 against 0.02, where the top is another"
    assert row.size_bytes == 1234, "of model.* alone"
    assert row.latency_ms == Latency(pytest.approx(1.5), pytest.approx(1.9), pytest.approx(1.99), 10), (
        "five turns of two"
    )
    assert row.images_per_second == pytest.approx(500.0)
    assert row.quantized


def test_the_reference_of_the_experiment_is_what_rows_are_held_against():
    volume = Volume(default_experiment(reference="onnx.fp32")).start()
    volume.variant("onnx.fp32", answers(14))
    compared = compare(volume)
    assert compared.reference == "onnx.fp32"
    assert difference_of(rows(compared)["keras.fp32"]) == 4.0
    assert difference_of(rows(compared)["onnx.fp32"]) == 0.0
    assert not rows(compared)["onnx.fp32"].quantized


def test_without_the_reference_there_are_no_differences(volume):
    volume.whole()
    volume.remove("predictions.keras.fp32")
    row = rows(compare(volume))["onnx.int8"]
    assert accuracy_of(row) == 0.9
    assert (difference_of(row), row.agreement, row.max_abs_diff) == (None, None, None)


def test_what_the_framework_refuses_is_a_result(volume):
    compared = compare(volume.whole())
    row = rows(compared)["torch.uint8"]
    assert (row.status, row.reason) == ("unsupported", "PyTorch quantized 0 of 10")
    assert (accuracy_of(row), row.size_bytes, row.latency_ms) == (None, None, None)
    assert find_exit_code(compared) == 0


@pytest.mark.parametrize("status", ["failed", "skipped"])
@pytest.mark.parametrize("name", ["onnx.int8", "predictions.onnx.int8"])
def test_a_variant_without_a_result_has_its_reason(volume, name, status):
    volume.whole()
    volume.remove(name)
    volume.fail(name, "killed by SIGKILL", status)
    compared = compare(volume)
    row = rows(compared)["onnx.int8"]
    assert (row.status, row.reason) == (status, f"{name}: killed by SIGKILL")
    assert (accuracy_of(row), row.latency_ms) == (None, None)
    assert find_exit_code(compared) == 3
    assert [other.status for other in compared.variants if other is not row] == ["ok"] * 7 + ["unsupported"]


def test_a_variant_that_is_not_there_says_how_to_make_it(volume):
    volume.whole()
    volume.remove("torch.int8")
    row = rows(compare(volume))["torch.int8"]
    assert (row.status, row.reason) == ("skipped", f"torch.int8: {lacking('torch.int8')}")


def test_an_empty_volume_has_every_row_and_no_figure(volume):
    compared = compare(volume)
    assert tuple(row.name for row in compared.variants) == ORDER
    assert {row.status for row in compared.variants} == {"skipped"}
    assert {accuracy_of(row) for row in compared.variants} == {None}
    assert compared.dataset == {
        "name": "",
        "test_images": 0,
        "split": "test",
        "sample": False,
        "classes": [],
        "task": "classification",
        "unit": "images",
    }
    assert (compared.gates, compared.versions) == ((), {})
    assert find_exit_code(compared) == 3


def test_a_variant_at_chance_has_failed(volume):
    """Of 100 images in ten classes, up to 18 right ones are no better than guessing."""
    volume.start()
    volume.variant("onnx.fp32", answers(10))
    volume.variant("onnx.int8", answers(82))
    volume.variant("onnx.uint8", answers(81))
    volume.latency("onnx", "onnx.fp32", "onnx.int8", "onnx.uint8")
    rows_by_name = rows(compare(volume))
    assert rows_by_name["onnx.int8"].status == "failed"
    assert rows_by_name["onnx.int8"].reason == "answers no better than chance: 18.00% with 10 classes"
    assert accuracy_of(rows_by_name["onnx.int8"]) == 0.18
    assert (rows_by_name["onnx.int8"].latency_ms, rows_by_name["onnx.int8"].images_per_second) == (None, None)
    assert rows_by_name["onnx.uint8"].status == "ok"
    assert rows_by_name["onnx.uint8"].latency_ms is not None


def test_a_variant_at_chance_gives_exit_code_3(volume):
    volume.whole()
    volume.variant("onnx.int8", answers(99))
    volume.latency("onnx", "onnx.fp32")
    assert find_exit_code(compare(volume)) == 3


def test_a_failed_latency_is_told_though_it_makes_no_row(volume):
    volume.whole()
    volume.remove("latency.onnx")
    volume.fail("latency.onnx", "runs 4 threads instead of 1")
    compared = compare(volume)
    assert compared.failures == (Failure("latency.onnx", "failed", "runs 4 threads instead of 1"),)
    assert find_exit_code(compared) == 3
    assert rows(compared)["onnx.int8"].latency_ms.samples == 8, "of the four turns that are there"


def test_without_any_turn_there_are_no_timings(volume):
    volume.whole()
    turns = ["latency.onnx", *(f"latency.onnx.{turn}" for turn in range(2, 6))]
    for name in turns:
        volume.remove(name)
    compared = compare(volume)
    assert [failure.name for failure in compared.failures] == turns, "those beyond the default are made on demand"
    row = rows(compared)["onnx.int8"]
    assert (row.status, accuracy_of(row), row.latency_ms, row.timings) == ("ok", 0.9, None, ())
    assert row.cold is not None
    assert rows(compared)["torch.int8"].latency_ms is not None
    assert [noise.image for noise in compared.noise] == ["keras", "torch", "torch"]


def test_a_latency_that_is_not_there_is_told(volume):
    volume.whole()
    volume.remove("latency.keras")
    compared = compare(volume)
    assert compared.failures == (Failure("latency.keras", "skipped", lacking("latency.keras")),)
    assert find_exit_code(compared) == 3


def test_a_failed_export_is_told_by_its_rows_and_by_itself(volume):
    volume.start()
    volume.remove("exported")
    volume.fail("exported", "op Erfc is not supported")
    failures = {failure.name: failure.reason for failure in compare(volume).failures}
    assert failures["exported"] == "op Erfc is not supported"


def test_training_that_nobody_asked_for_is_no_failure(volume):
    assert "trained" not in [failure.name for failure in compare(volume.whole()).failures]


def test_an_export_that_the_framework_refuses_is_no_failure(volume):
    """What needs it has nothing to do; the rows say why there is nothing."""
    volume.start()
    volume.publish("exported", refused="op Erfc is not supported")
    assert "exported" not in [failure.name for failure in compare(volume).failures]


def test_a_changed_recipe_takes_its_old_result_off_the_table(volume):
    volume.whole()
    recipes = volume.experiment.recipes
    other = {**recipes, "onnx": {**recipes["onnx"], "int8": {"per_channel": True}}}
    changed = Volume(replace(volume.experiment, recipes=other))
    rows_by_name = rows(compare(changed))
    assert (rows_by_name["onnx.int8"].status, accuracy_of(rows_by_name["onnx.int8"])) == ("skipped", None)
    assert rows_by_name["onnx.int8"].size_bytes is None
    assert rows_by_name["onnx.int8"].latency_ms is None
    assert (rows_by_name["onnx.uint8"].status, accuracy_of(rows_by_name["onnx.uint8"])) == ("ok", 0.9)


def test_a_changed_model_takes_every_old_result_off_the_table(volume):
    volume.whole()
    volume.publish("input.model", {"model.keras": b"other weights"})
    rows_by_name = rows(compare(volume))
    assert {row.status for row in rows_by_name.values()} == {"skipped"}
    assert {accuracy_of(row) for row in rows_by_name.values()} == {None}


def test_predictions_of_an_older_variant_do_not_count(volume):
    volume.whole()
    volume.publish("torch.x86", {"model.pt": b"another build"})
    row = rows(compare(volume))["torch.x86"]
    assert (row.status, accuracy_of(row)) == ("skipped", None)
    assert row.reason == f"predictions.torch.x86: {lacking('predictions.torch.x86')}"


def test_timings_of_an_older_variant_do_not_count(volume):
    volume.whole()
    volume.variant("torch.x86", answers(12), size=7)
    rows_by_name = rows(compare(volume))
    assert (accuracy_of(rows_by_name["torch.x86"]), rows_by_name["torch.x86"].latency_ms) == (0.88, None)
    repeated = ["latency.torch", "startup.torch", *(f"latency.torch.{turn}" for turn in range(2, 6))]
    assert [failure.name for failure in compare(volume).failures] == repeated


def test_versions_are_of_what_the_requirements_name(volume):
    package_versions = compare(volume.whole()).versions
    assert list(package_versions) == ["keras", "onnx", "torch"]
    assert list(package_versions["onnx"]) == ["numpy", "onnx", "onnxruntime", "sympy"]
    step = volume.plan.step("keras.fp32")
    assert package_versions["keras"]["tensorflow-cpu"] == versions(step)["Tensorflow_Cpu"]
    assert "absl-py" not in package_versions["keras"]


@pytest.mark.parametrize("name", ["Ruamel.Yaml_clib", "ruamel-yaml-clib", "ruamel__yaml--clib"])
def test_names_of_packages_as_the_index_compares_them(name):
    assert artifacts.normalized(name) == "ruamel-yaml-clib"


@pytest.mark.parametrize(("least", "code"), [(0.9, 0), (0.91, 1)])
def test_gates_set_the_exit_code(least, code):
    gates = Gates(quantized={"accuracy": Bound(min=least)})
    compared = compare(Volume(default_experiment(gates=gates)).whole())
    assert [gate.variant for gate in compared.gates] == list(ORDER[3:-1])
    assert {gate.holds for gate in compared.gates} == {code == 0}
    assert find_exit_code(compared) == code


def test_a_failure_weighs_more_than_a_gate():
    volume = Volume(default_experiment(gates=Gates(float={"accuracy": Bound(min=1.0)}))).whole()
    volume.remove("latency.torch")
    assert find_exit_code(compare(volume)) == 3


def test_the_json_file_has_exactly_the_fields_that_are_promised(volume):
    compared = compare(volume.whole())
    data = json.loads(files.texts(compared)["comparison.json"])
    assert set(data) == {
        "schema", "experiment", "reference", "dataset", "variants", "host", "versions", "gates", "failures",
        "conversion_steps", "noise", "warnings", "decision", "digests", "evidence", "not_held", "origin",
        "targets", "smallest_loss", "unchecked", "baseline", "require",
    }  # fmt: skip
    assert data["schema"] == 3
    assert set(data["dataset"]) == {"name", "test_images", "split", "sample", "classes", "task", "unit", "outputs"}
    for row in data["variants"]:
        assert set(row) == {
            "name", "image", "recipe", "status", "reason",
            "size_bytes", "latency_ms", "images_per_second", "paired", "drift", "ece", "classes", "losing",
            "timings", "cold", "confusion", "draws", "curve", "emulated", "in_float", "limit_held",
            "warnings", "conversion_notes",
            "metrics", "outputs", "confused", "cpu_invariant", "saturated", "may_saturate", "assessments",
            "breakdowns", "further_outputs",
        }  # fmt: skip
    assert [row["name"] for row in data["variants"]] == list(ORDER)
    assert set(data["variants"][0]["latency_ms"]) == {"p50", "p90", "p99", "samples"}
    assert set(data["variants"][0]["timings"][0]) == {
        "batch", "threads", "p50", "p90", "p99", "samples", "images_per_second", "passes",
    }  # fmt: skip
    assert set(data["variants"][0]["cold"]) == {"imported", "loaded", "answered", "peak_bytes"}
    assert set(data["variants"][3]["paired"]) == {
        "both_right", "only_reference", "only_variant", "both_wrong", "delta_pp", "interval_pp", "p_value", "p_holm",
    }  # fmt: skip
    assert {frozenset(step) for step in data["conversion_steps"]} == {
        frozenset(("change", "before", "after", "tools", "drift", "paired", "metric"))
    }
    assert [set(noise) for noise in data["noise"]] == [{"image", "repeat_of", "share"}] * 5
    assert set(data["decision"]) == {
        "outcome", "variant", "reasons", "rejections", "caveats", "shown", "choices", "preferred",
    }  # fmt: skip
    assert data["variants"][-1]["latency_ms"] is None
    assert {frozenset(gate) for gate in data["gates"]} == {
        frozenset(("variant", "metric", "bound", "limit", "value", "holds", "confidence", "label", "before"))
    }
    assert data["failures"] == []


def test_a_failure_in_the_json_file(volume):
    volume.whole()
    volume.remove("latency.onnx")
    volume.fail("latency.onnx", "no time")
    data = json.loads(files.texts(compare(volume))["comparison.json"])
    assert data["failures"] == [{"name": "latency.onnx", "status": "failed", "reason": "no time"}]


def test_the_labels_of_these_tests_are_ten_of_each_class():
    assert np.bincount(LABELS).tolist() == [10] * 10
    assert (answers(15).argmax(axis=1) == LABELS).sum() == 85


def test_what_a_row_says_beyond_the_main_table(volume):
    """Ten wrong in the reference; the same ten and five more here: all of the first classes in the first rows."""
    volume.whole()
    volume.variant("onnx.int8", answers(15, sure=0.82))
    rows_by_name = rows(compare(volume))
    row = rows_by_name["onnx.int8"]
    pairs = row.paired
    assert (pairs.both_right, pairs.only_reference, pairs.only_variant, pairs.both_wrong) == (85, 5, 0, 10)
    assert (row.drift.images, row.drift.changed) == (100, 5)
    assert interval_of(row).low < 0.85 < interval_of(row).high
    assert row.ece == pytest.approx(0.03, abs=1e-6), "85 of 100 are right, and it is always 82% sure"
    assert [(count.right, count.total) for count in row.classes] == [(8, 10)] * 5 + [(9, 10)] * 5
    assert row.losing == (), "one image of ten is not significant"
    assert rows_by_name["keras.fp32"].paired.p_value == 1.0


def test_a_class_that_loses_significantly_is_named(volume):
    volume.whole()
    worse = answers(10)
    worse[LABELS == 3] = answers(100)[LABELS == 3]
    volume.variant("onnx.int8", worse)
    (losing,) = rows(compare(volume))["onnx.int8"].losing
    assert (losing.label, losing.paired.only_reference, losing.paired.only_variant) == (3, 9, 0)
    assert losing.paired.p_holm == pytest.approx(10 * 2 / 2**9), "ten classes were looked at"


def test_every_row_but_the_reference_is_assessed_at_a_level_for_all_of_them(volume):
    """Seven have answers beside the reference, the float ones included."""
    volume.whole()
    volume.variant("torch.x86", answers(18))
    rows_by_name = rows(compare(volume))
    assert rows_by_name["keras.fp32"].assessments == rows_by_name["torch.uint8"].assessments == ()
    assessed = [rows_by_name[name].assessment for name in ORDER[1:-1]]
    assert {(item.target, item.candidates, item.samples) for item in assessed} == {("here", 7, 100)}
    item = rows_by_name["torch.x86"].assessment
    assert (item.lost, item.won, item.estimate) == (8, 0, pytest.approx(0.08))
    assert item == assess_pairs(rows_by_name["torch.x86"].paired, 7)
    assert rows_by_name["torch.x86"].paired.p_value == pytest.approx(2 / 2**8)


def test_each_pair_of_variants_is_tested_once_and_its_outputs_are_compared_once(volume, monkeypatch):
    """A row, its metric and the conversion step from the reference are of the same pair."""
    calls = {"paired": [], "drift": []}

    def count(name, function):
        def counted(*arguments):
            calls[name].append(tuple(map(id, arguments[:2])))
            return function(*arguments)

        return counted

    monkeypatch.setattr(statistics, "pair_answers", count("paired", statistics.pair_answers))
    monkeypatch.setattr(output_drift, "compute_class_drift", count("drift", output_drift.compute_class_drift))
    comparison = compare(volume.whole())
    for row in comparison.variants[:-1]:
        assert row.paired.p_value == row.metrics[0].p_value
    steps = [step for step in comparison.conversion_steps if step.before != comparison.reference]
    answered = len(comparison.variants) - 1
    assert len(calls["paired"]) == 2 * answered + len(steps), "of accuracy and of top-5 accuracy"
    assert len(calls["drift"]) == answered + len(steps)
    rows_by_name = rows(comparison)
    for step in comparison.conversion_steps:
        if step.before != comparison.reference:
            continue
        assert step.drift == rows_by_name[step.after].drift
        assert step.paired == rows_by_name[step.after].paired


def test_the_decision_is_of_these_rows(volume):
    volume.whole()
    volume.latency("onnx", "onnx.fp32", "onnx.int8", single=[[0.0001]])
    volume.variant("onnx.fp32", answers(10), size=50)
    volume.variant("onnx.int8", answers(10), size=40)
    for name in ("onnx.uint8", "onnx.u8s8"):
        volume.variant(name, answers(10))
    volume.latency("onnx", "onnx.fp32", "onnx.int8", single=[[0.0001]])
    volume.experiment = replace(volume.experiment, tolerance=Tolerance(10.0, "points"))
    comparison = compare(volume)
    decision = comparison.decision
    assert decision.variant == "onnx.int8"
    price = Price(pytest.approx(15.0), False, pytest.approx(25.0), pytest.approx(15.0), pytest.approx(15.0))
    assert decision.reasons == (
        ShownGoodEnough(rows(comparison)["onnx.int8"].assessments),
        ComparedWith("keras.fp32", price),
    )
    assert decision.shown == ("onnx.fp32", "onnx.int8", "onnx.uint8", "onnx.u8s8"), "PyTorch's are of the earlier file"


def test_of_a_hundred_images_no_equal_answers_show_that_nothing_is_lost(volume):
    """Where nothing differs, 100 images bound a loss only to some 5 %: one percent is asked for."""
    comparison = compare(volume.whole())
    decision = comparison.decision
    item = rows(comparison)["onnx.u8s8"].assessment
    assert (item.outcome, item.lost, item.won) == ("not_shown", 0, 0)
    assert (decision.outcome, decision.variant, decision.shown) == ("keep_reference", "keras.fp32", ())
    assert decision.reasons == (NothingShown("onnx.fp32", item.needed),)
    reasons = {each.variant: each.reasons[0] for each in decision.rejections}
    assert reasons["onnx.u8s8"] == NotShown(item)
    assert 100 < item.needed < 1500
    assert comparison.smallest_loss.loss > 0.02
    assert comparison.smallest_loss.samples == 100


def test_the_noise_is_of_the_first_float_variant_and_the_first_quantized_one_of_each_image(volume):
    image_noise = compare(volume.whole()).noise
    assert [(noise.image, noise.repeat_of, noise.share) for noise in image_noise] == [
        ("keras", "keras.fp32", 0.0),
        ("onnx", "onnx.fp32", 0.0),
        ("onnx", "onnx.int8", 0.0),
        ("torch", "torch.fp32", 0.0),
        ("torch", "torch.int8", 0.0),
    ]


def test_a_busy_machine_is_told(volume):
    volume.whole()
    volume.latency("torch", "torch.fp32", others=1.5)
    assert compare(volume).warnings == (BusyMachine(1.5),)


def prices(comparison):
    """What each variant costs against the one that is shipped, and that one against the reference."""
    decision = comparison.decision
    reasons = [*decision.reasons, *(reason for each in decision.rejections for reason in each.reasons)]
    return [reason.price for reason in reasons if isinstance(reason, ComparedWith)]


@pytest.mark.parametrize("machine", [{}, {"others": 1.5}, {"steal": 0.2}, {"slowest_mhz": 1.0, "fastest_mhz": 2.0}])
def test_speeds_on_a_machine_that_others_use_are_doubtful(volume, machine):
    """A clock that is slow for all of them leaves the ratios."""
    volume.whole()
    volume.latency("onnx", *(name for name in ORDER if name.startswith("onnx")), single=[[0.0001]], **machine)
    volume.experiment = replace(volume.experiment, tolerance=Tolerance(10.0, "points"))
    comparison = compare(volume)
    assert comparison.decision.outcome == "ship"
    found = {price.doubtful for price in prices(comparison)}
    assert found == {bool(machine.keys() & {"others", "steal"})}
    (warning,) = comparison.warnings or (None,)
    assert (warning is None) is (not machine)


def test_speeds_of_several_passes_have_an_interval(volume):
    volume.whole()
    names = [name for name in ORDER if name.startswith("onnx")]
    for number, step in enumerate(step for step in volume.plan.steps if step.output.startswith("latency.onnx")):
        if step.default:
            seconds = 0.0001 * (1 + 0.1 * (number % 2))
            measured = evidence_makers.timings(*names, single=[[seconds]], started=float(number))
            volume.publish(step.output, {"samples.json": asdict(measured)})
    volume.experiment = replace(volume.experiment, tolerance=Tolerance(10.0, "points"))
    (price, *_) = prices(compare(volume))
    assert price.speed_low < price.speed < price.speed_high
    assert price.speed == pytest.approx(15.0)


def test_speeds_of_a_single_pass_have_no_interval():
    options = {"calibration": {"images": 1000, "seed": 0}, "latency": {"passes": 1}}
    chosen = default_experiment(options=options, timing=TimingBudget(0), tolerance=Tolerance(10.0, "points"))
    volume = Volume(chosen).whole()
    volume.latency("onnx", *(name for name in ORDER if name.startswith("onnx")), single=[[0.0001]])
    (price, *_) = prices(compare(volume))
    assert price.speed == pytest.approx(15.0)
    assert (price.speed_low, price.speed_high) == (None, None)


@pytest.mark.parametrize(("others", "warned"), [(0.0, {"onnx.int8"}), (1.5, set())])
def test_threads_that_cost_time_are_told_unless_others_took_the_cores(volume, others, warned):
    volume.whole()
    names = [name for name in ORDER if name.startswith("onnx")]
    for step in volume.plan.steps:
        if step.output.startswith("latency.onnx") and step.default:
            measured = asdict(evidence_makers.timings(*names, others=others, started=float(step.turn)))
            for samples in measured["samples"]:
                if (samples["variant"], samples["threads"], samples["batch"]) == ("onnx.int8", 2, 1):
                    samples["seconds"] = [[2 * second for second in calls] for calls in samples["seconds"]]
            volume.publish(step.output, {"samples.json": measured})
    slow = MoreThreadsSlower(1, 2, pytest.approx(2.0))
    assert {row.name for row in compare(volume).variants if slow in row.warnings} == warned


@pytest.mark.parametrize("looks", [1, 2, 7])
def test_test_samples_that_were_looked_at_before_are_a_caveat(volume, looks):
    volume.whole()
    comparison = comparing.compare(evaluate(volume), volume.experiment, looks)
    found = [caveat for caveat in comparison.decision.caveats if isinstance(caveat, LookedBefore)]
    assert found == ([] if looks == 1 else [LookedBefore(looks)])


def test_groups_of_the_test_samples_are_counted(volume):
    """They lie beside the labels, apart from the samples."""
    volume.whole()
    assert "groups" not in compare(volume).dataset
    volume.publish("labels", {"labels.npy": LABELS, "groups.npy": np.arange(len(LABELS)) // 4})
    comparison = compare(volume)
    assert comparison.dataset["groups"] == 25
    assert {row.assessment.groups for row in comparison.variants if row.assessment} == {25}


def test_a_gate_with_a_confidence_and_no_reference_is_no_mistake():
    gates = Gates(quantized={"accuracy": Bound(min=0.5, confidence=0.95)})
    volume = Volume(default_experiment(gates=gates)).whole()
    volume.remove("predictions.keras.fp32")
    gate_results = compare(volume).gates
    assert [gate.variant for gate in gate_results] == list(ORDER[3:-1])
    assert [gate.value for gate in gate_results] == pytest.approx([0.8256] * 5, abs=1e-4)


@pytest.fixture
def other_labels(monkeypatch):
    """Label the images otherwise, in the volume and in the answers."""

    def set_labels(labels):
        monkeypatch.setattr(evidence_makers, "LABELS", labels)

    return set_labels


def test_a_test_set_of_one_image(volume, other_labels):
    """Of one answer nothing can be said, not even that it is chance; the gates on the accuracy still fail."""
    other_labels(LABELS[:1])
    compared = compare(volume.whole())
    assert compared.dataset["test_images"] == 1
    assert [row.status for row in compared.variants] == ["ok"] * 8 + ["unsupported"]
    assert (compared.shipped, compared.decision.reasons) == ("", (ReferenceUnsound(),))
    assert find_exit_code(compared) == 1


def test_all_right(volume):
    volume.whole()
    for name in ORDER[:-1]:
        volume.variant(name, answers(0))
    for image in volume.plan.images:
        names = [name for name in ORDER[:-1] if name.startswith(image)]
        volume.latency(image, *names)
        volume.startup(image, *names)
    compared = compare(volume)
    row = rows(compared)["onnx.int8"]
    assert (accuracy_of(row), difference_of(row), row.agreement) == (1.0, 0.0, 1.0)
    assert interval_of(row).high == pytest.approx(1.0)
    assert (row.drift.sqnr_db, row.drift.kl, row.paired.p_value) == (None, 0.0, 1.0)
    assert find_exit_code(compared) == 0
    assert compared.shipped


def test_all_wrong(volume):
    volume.start()
    for name in ORDER[1:-1]:
        volume.variant(name, answers(100))
    volume.variant("keras.fp32", answers(100))
    volume.publish("exported", {"model.onnx": b"exported"})
    for name in ORDER[1:-1]:
        volume.variant(name, answers(100))
    compared = compare(volume)
    assert {row.status for row in compared.variants[:-1]} == {"failed"}
    row = rows(compared)["onnx.int8"]
    assert (accuracy_of(row), interval_of(row).low, row.paired.both_wrong) == (0.0, pytest.approx(0.0, abs=1e-12), 100)
    assert compared.shipped == ""
    assert find_exit_code(compared) == 3


def test_a_hundred_variants():
    names = [f"r{number}" for number in range(97)]
    chosen = default_experiment(recipes={"onnx": {name: {} for name in names}})
    volume = Volume(chosen).start()
    volume.variant("onnx.fp32", answers(10))
    volume.variant("torch.fp32", answers(10))
    for number, name in enumerate(names):
        volume.variant(f"onnx.{name}", answers(10 + number % 9))
    for image in volume.plan.images:
        variants = [name for name in volume.plan.step(f"latency.{image}").optional if name.startswith(image)]
        volume.latency(image, *variants)
        volume.startup(image, *variants)
    compared = compare(volume)
    assert len(compared.variants) == 100
    assert {row.status for row in compared.variants} == {"ok"}
    assert len(compared.conversion_steps) == 99
    assert len(compared.decision.rejections) == 99
    assert {row.assessment.candidates for row in compared.variants if row.assessment} == {99}
