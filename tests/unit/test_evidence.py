"""One digest of all that a comparison is made from; what was judged before is not judged again."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from evidence_makers import START, Volume, answers, default_experiment

from driver import __main__ as command_line
from driver import comparison, host, reporting
from driver.evidence import Evidence
from driver.experiment import Bound, Gates
from driver.results import Cold
from shared import store
from shared.freshness import Freshness

pytestmark = pytest.mark.usefixtures("volumes")
MACHINE = {"cpu": "Some CPU", "int8_instructions": ["avx2"], "cores": 2}


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    described = dict(MACHINE)
    monkeypatch.setattr(host, "describe", lambda: described)
    monkeypatch.setattr(host, "cores", lambda: 2)
    return described


@pytest.fixture
def volume():
    return Volume(default_experiment()).whole()


def evidence(volume):
    return Evidence(Freshness(volume.plan))


def fingerprint(volume, chosen=None):
    return evidence(volume).fingerprint(chosen or volume.experiment)


def test_the_same_evidence_has_the_same_fingerprint(volume):
    before = fingerprint(volume)
    assert fingerprint(volume) == before
    volume.variant("torch.x86", answers(10))
    assert fingerprint(volume) == before, "made again as it was"
    assert len(before) == 64


def other_predictions(volume):
    volume.seal("predictions.torch.x86", {"output_0.npy": answers(11)})


def other_timings(volume):
    volume.latency("torch", "torch.fp32", single=[[0.5]])


def gone(volume):
    volume.remove("predictions.torch.x86")


def refused(volume):
    volume.seal("torch.uint8", refused="for another reason")


def failed(volume):
    volume.fail("trained", "no time")


def stale(volume):
    volume.seal("trained", {"model.keras": b"x"}, code="older")


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
    found = evidence(volume).digests()
    assert {"input.model", "dataset", "onnx.fp32", "torch.uint8", "latency.torch.3", "startup.keras"} <= set(found)
    assert not {"onnx.int8", "predictions.onnx.int8", "latency.onnx", "trained"} & set(found)


def test_timings_are_read_turn_after_turn(volume):
    found = evidence(volume).passes()
    assert list(found) == ["keras", "onnx", "torch"]
    for group in found.values():
        starts = [timings.machine.started for timings in group]
        assert len(starts) == 3
        assert starts == sorted(starts)


def test_cold_starts_are_those_in_the_middle(volume):
    slow, quick = {**START, "answered": 9.0}, {**START, "answered": 0.9}
    volume.startup("onnx", "onnx.int8", starts=[slow, START, quick])
    found = evidence(volume).cold()
    assert found["onnx.int8"] == Cold(0.5, 0.75, 1.0, 1 << 20)
    assert "onnx.fp32" not in found
    assert "torch.int8" in found


def test_a_class_has_its_name_where_the_data_set_has_names(volume):
    about = {"name": "cifar10", "sample": False, "classes": ["airplane", "automobile"]}
    volume.seal("dataset", {"input_0.npy": np.zeros((3, 2)), "labels.npy": np.zeros(3, np.uint8), "about.json": about})
    assert evidence(volume).dataset()["classes"] == ["airplane", "automobile"]


@pytest.fixture
def compared(volume):
    """(the comparison, where it is written)"""
    folder = store.volumes() / "comparison"
    found = comparison.compare(evidence(volume), volume.experiment)
    reporting.write(found, folder)
    for name in ("comparison.html", "changed.csv"):
        (folder / name).write_text("made by the command")
    return found, folder


@pytest.mark.parametrize("name", ["comparison.md", "comparison.csv", "comparison.html", "changed.csv"])
def test_one_that_lost_a_file_is_made_anew(compared, name):
    found, folder = compared
    (folder / name).unlink()
    assert reporting.earlier(folder, found.evidence) is None


def test_an_earlier_comparison_of_the_same_evidence_is_read_back_whole(compared, volume):
    found, folder = compared
    assert found.evidence == fingerprint(volume)
    assert reporting.earlier(folder, found.evidence) == found


def test_one_of_other_evidence_is_not_used(compared):
    assert reporting.earlier(compared[1], "0" * 64) is None


def test_where_there_is_none_there_is_none(tmp_path):
    assert reporting.earlier(tmp_path, "") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '{"schema": 2}'])
def test_one_that_can_not_be_read_is_made_anew(compared, text):
    found, folder = compared
    (folder / "comparison.json").write_text(text)
    assert reporting.earlier(folder, found.evidence) is None


def test_one_of_another_version_is_made_anew(compared):
    found, folder = compared
    data = asdict(found) | {"future": 1}
    (folder / "comparison.json").write_text(json.dumps(data))
    assert reporting.earlier(folder, found.evidence) is None


@pytest.mark.usefixtures("volume")
def test_what_was_judged_before_is_not_judged_again(volumes, monkeypatch, capsys):
    assert command_line.main(["report"]) == 0
    first = capsys.readouterr().out
    path = volumes / "resnet8-cifar10" / "comparison" / "comparison.json"
    before = path.stat().st_mtime_ns, path.stat().st_ino
    monkeypatch.setattr(comparison, "compare", lambda *_: pytest.fail("judged again"))
    assert command_line.main(["report"]) == 0
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    assert capsys.readouterr().out == first


def test_what_has_changed_is_judged_again_with_another_exit_code(volume, volumes, capsys):
    command_line.main(["report"])
    path = volumes / "resnet8-cifar10" / "comparison" / "comparison.json"
    before = path.stat().st_ino
    volume.remove("latency.torch")
    assert command_line.main(["report"]) == 3
    assert path.stat().st_ino != before
    assert "latency.torch skipped: " in capsys.readouterr().out
