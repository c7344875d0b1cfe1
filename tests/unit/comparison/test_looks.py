"""Looks at a test set: each comparison of other variants of a model is one more; the same is not counted twice."""

import json
import threading
from dataclasses import replace

import pytest
from evidence_makers import LABELS, Volume, answers, default_experiment

from driver.analysis.artifacts import Evidence
from driver.analysis.facts import LookedBefore
from driver.cli import main as command_line
from driver.comparison import looks, publication
from shared.artifacts.freshness import Freshness

REFERENCE = "keras.fp32"


@pytest.fixture
def volume(volumes):  # noqa: ARG001
    return Volume(default_experiment()).whole()


def look(volume, reference=REFERENCE):
    return looks.record_look(Evidence(Freshness(volume.plan)), reference)


def test_the_first_look_is_the_first_however_often_it_is_repeated(volume):
    assert [look(volume) for _ in range(3)] == [1, 1, 1]


def test_other_answers_are_another_look_and_earlier_ones_are_known(volume):
    assert look(volume) == 1
    volume.variant("onnx.int8", answers(12))
    assert look(volume) == 2
    volume.variant("onnx.int8", answers(13))
    assert look(volume) == 3
    volume.variant("onnx.int8", answers(12))
    assert look(volume) == 3, "that one was counted"


def test_what_answers_alike_is_no_other_look(volume):
    """What it was made by, and how fast it is, says nothing of the test set."""
    look(volume)
    volume.publish("onnx.int8", {"model.bin": b"another file"})
    volume.publish("predictions.onnx.int8", {"output_0.npy": volume.found("onnx.int8"), "cpu.json": {"name": "a"}})
    volume.latency("onnx", "onnx.fp32", single=[[0.5]])
    assert look(volume) == 1


def test_a_variant_less_is_another_look(volume):
    look(volume)
    volume.remove("predictions.onnx.int8")
    assert look(volume) == 2


def test_the_name_of_a_recipe_says_nothing(volume):
    """Variants are told by their answers: an experiment that names the same ones otherwise is no other look."""
    look(volume)
    renamed = {"onnx": {f"my-{name}": given for name, given in volume.experiment.recipes["onnx"].items()}}
    other = Volume(replace(volume.experiment, name="other", recipes=volume.experiment.recipes | renamed)).start()
    for step in other.plan.steps:
        if f"predictions.{step.output}" in other.plan.locations and step.output not in (REFERENCE, "torch.uint8"):
            other.variant(step.output, other.found(step.output))
    assert look(other) == 1


def test_each_model_has_looks_of_its_own(volume):
    """The model is told by what its reference answers."""
    look(volume)
    volume.variant("onnx.int8", answers(12))
    assert look(volume) == 2
    volume.variant(REFERENCE, answers(20))
    assert look(volume) == 1


def test_each_test_set_has_looks_of_its_own(volume):
    look(volume)
    volume.variant("onnx.int8", answers(12))
    assert look(volume) == 2
    volume.publish("labels", {"labels.npy": LABELS[::-1].copy()})
    assert look(volume) == 1


def test_without_answers_of_the_reference_nothing_is_counted(volume, volumes):
    volume.remove("predictions.keras.fp32")
    assert look(volume) == 1
    assert not (volumes / looks.NAME).exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_record_begins_anew(volume, volumes, content):
    (volumes / looks.NAME).write_bytes(content)
    assert look(volume) == 1
    volume.variant("onnx.int8", answers(12))
    assert look(volume) == 2


@pytest.mark.parametrize("name", [looks.NAME, looks.LOCK])
def test_where_nothing_can_be_written_nothing_is_counted(volume, volumes, name):
    (volumes / name).mkdir()
    assert look(volume) == 1


def test_looks_at_the_same_time_are_all_counted(volumes):
    threads = [threading.Thread(target=looks.add, args=(volumes, "key", f"look {number}")) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(json.loads((volumes / looks.NAME).read_text())["key"]) == sorted(f"look {n}" for n in range(20))


def test_the_record_has_digests_alone(volume, volumes):
    look(volume)
    ((key, [digest]),) = json.loads((volumes / looks.NAME).read_text()).items()
    assert {len(key), len(digest)} == {64}
    assert set(key + digest) <= set("0123456789abcdef")


@pytest.mark.usefixtures("without_plots", "volume")
def test_report_tells_how_often_and_tells_the_same_again(volume):
    def tell():
        assert command_line.main(["report"]) in (0, 3)
        decision = publication.read_comparison(publication.locate("resnet8-cifar10")).decision
        return [caveat for caveat in decision.caveats if isinstance(caveat, LookedBefore)]

    assert tell() == []
    volume.variant("onnx.int8", answers(12))
    assert tell() == tell() == [LookedBefore(2)]
