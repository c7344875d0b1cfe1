"""One digest of all that a comparison is made from: it changes with whatever would change the comparison."""

import ast
from dataclasses import replace

import pytest
from evidence_makers import Volume, answers, default_experiment

from driver.analysis.fingerprint import compute_fingerprint, list_digests, read_failure
from driver.experiment.model import Bound, Gates, TimingBudget
from driver.host import facts
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.contract import Failure

pytestmark = pytest.mark.usefixtures("volumes")
MACHINE = {"cpu": "Some CPU", "int8_instructions": ["avx2"], "cores": 2}


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    described = dict(MACHINE)
    monkeypatch.setattr(facts, "describe", lambda: described)
    return described


@pytest.fixture
def volume():
    return Volume(default_experiment()).whole()


def fingerprint(volume, chosen=None):
    return compute_fingerprint(Freshness(volume.plan), chosen or volume.experiment)


def test_the_same_evidence_has_the_same_fingerprint(volume):
    before = fingerprint(volume)
    assert fingerprint(volume) == before
    volume.variant("torch.x86", answers(10))
    assert fingerprint(volume) == before, "made again as it was"
    assert len(before) == 64


def other_predictions(volume):
    volume.publish("predictions.torch.x86", {"output_0.npy": answers(11)})


def other_timings(volume):
    volume.latency("torch", "torch.fp32", single=[[0.5]])


def gone(volume):
    volume.remove("predictions.torch.x86")


def refused(volume):
    volume.publish("torch.uint8", refused="for another reason")


def failed(volume):
    volume.fail("trained", "no time")


def stale(volume):
    volume.publish("trained", {"model.keras": b"x"}, code="older")


@pytest.mark.parametrize("change", [other_predictions, other_timings, gone, refused, failed, stale])
def test_what_is_on_the_volume_changes_it(volume, change):
    before = fingerprint(volume)
    change(volume)
    assert fingerprint(volume) != before


def test_another_reason_of_a_failure_changes_it(volume):
    volume.fail("trained", "no time")
    before = fingerprint(volume)
    volume.fail("trained", "no space")
    assert fingerprint(volume) != before


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"reference": "onnx.fp32"},
        {"timing": TimingBudget(0)},
        {"gates": Gates(quantized={"drop_pp": Bound(max=2.0, confidence=0.9)})},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_experiment_changes_it(volume, change):
    assert fingerprint(volume, replace(volume.experiment, **change)) != fingerprint(volume)


def test_the_machine_changes_it(volume, machine):
    before = fingerprint(volume)
    machine["cpu"] = "Another CPU"
    assert fingerprint(volume) != before


def test_our_own_code_changes_it(volume, monkeypatch):
    before = fingerprint(volume)
    asked = []
    monkeypatch.setattr(store, "tree_hash", lambda *folders: asked.append(folders) or "other")
    assert fingerprint(volume) != before
    assert asked == [("shared", "driver")]


def test_digests_are_of_what_is_up_to_date(volume):
    volume.remove("onnx.int8")
    digests = list_digests(Freshness(volume.plan))
    assert {"input.model", "dataset", "onnx.fp32", "torch.uint8", "latency.torch.3", "startup.keras"} <= set(digests)
    assert not {"onnx.int8", "predictions.onnx.int8", "latency.onnx", "trained", "latency.torch.6"} & set(digests)


def test_the_order_of_the_steps_in_a_plan_changes_nothing(volume):
    """A plan that was read has another order than one that was made."""
    before = list_digests(Freshness(volume.plan))
    turned = replace(volume.plan, locations=dict(reversed(volume.plan.locations.items())))
    assert list(list_digests(Freshness(turned)).items()) == list(before.items())


def test_a_pass_beyond_the_default_changes_it(volume):
    before = fingerprint(volume)
    volume.publish("latency.torch.6", {"samples.json": {}})
    assert fingerprint(volume) != before
    assert "latency.torch.6" in list_digests(Freshness(volume.plan))


def test_a_failure_is_read_as_it_was_recorded(volume):
    assert read_failure(volume.plan, "latency.torch") is None
    volume.fail("latency.torch", "no\x1b[2J time", "skipped")
    assert read_failure(volume.plan, "latency.torch") == Failure("latency.torch", "skipped", "no [2J time")


@pytest.mark.parametrize(("folder", "command"), [("cifar10", "run"), ("cifar10-sample", "run --sample")])
def test_a_damaged_record_of_a_failure_says_what_makes_the_artifact_of_the_same_data(volume, folder, command):
    store.write_atomically(store.failure_path(volume.plan, "latency.torch"), "{")
    plan = replace(volume.plan, locations=volume.plan.locations | {"input.dataset": f"inputs/{folder}"})
    assert read_failure(plan, "latency.torch") == Failure(
        "latency.torch", "failed", f"the record of why it failed is damaged: run `./crossquant {command} latency.torch`"
    )


def test_nothing_that_computes_is_imported():
    """A run with nothing to do needs no NumPy."""
    tree = ast.parse((store.ROOT / "driver/analysis/fingerprint.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    heavy = ("numpy", "scipy", "driver.analysis", "shared.data", "shared.numerics")
    assert not [name for name in imported if name.startswith(heavy)]
