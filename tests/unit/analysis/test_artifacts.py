"""What a volume holds for a comparison; what was judged before is not judged again."""

import json

import comparisons
import numpy as np
import pytest
from evidence_makers import START, Volume, answers, default_experiment, evaluate
from variant_makers import accuracy_of

from driver.analysis.artifacts import Evidence
from driver.analysis.fingerprint import compute_fingerprint
from driver.analysis.results import Cold
from driver.cli import main as command_line
from driver.comparison import compare as comparing
from driver.comparison import publication
from driver.host import facts
from shared.artifacts import store
from shared.artifacts.freshness import Freshness

pytestmark = pytest.mark.usefixtures("volumes", "without_plots")
MACHINE = {"cpu": "Some CPU", "int8_instructions": ["avx2"], "cores": 2}


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    described = dict(MACHINE)
    monkeypatch.setattr(facts, "describe", lambda: described)
    monkeypatch.setattr(facts, "cores", lambda: 2)
    return described


@pytest.fixture
def volume():
    return Volume(default_experiment()).whole()


def evidence(volume):
    return Evidence(Freshness(volume.plan))


def test_timings_are_read_turn_after_turn(volume):
    passes = evidence(volume).passes()
    assert list(passes) == ["keras", "onnx", "torch"]
    for group in passes.values():
        starts = [timings.machine.started for timings in group]
        assert len(starts) == 5
        assert starts == sorted(starts)


def test_cold_starts_are_those_in_the_middle(volume):
    slow, quick = {**START, "answered": 9.0}, {**START, "answered": 0.9}
    volume.startup("onnx", "onnx.int8", starts=[slow, START, quick])
    cold_starts = evidence(volume).cold()
    assert cold_starts["onnx.int8"] == Cold(0.5, 0.75, 1.0, 1 << 20)
    assert "onnx.fp32" not in cold_starts
    assert "torch.int8" in cold_starts


def test_a_class_has_its_name_where_the_data_set_has_names(volume):
    about = {"name": "cifar10", "sample": False, "classes": ["airplane", "automobile"]}
    volume.publish(
        "dataset", {"input_0.npy": np.zeros((3, 2)), "labels.npy": np.zeros(3, np.uint8), "about.json": about}
    )
    assert evidence(volume).dataset()["classes"] == ["airplane", "automobile"]


@pytest.fixture
def compared(volume):
    """(the comparison, where it is written)"""
    folder = publication.locate("resnet8-cifar10")
    comparison = comparing.compare(evaluate(volume), volume.experiment)
    publication.publish(folder, comparisons.files(comparison))
    return comparison, folder


def test_an_earlier_comparison_of_the_same_evidence_is_read_back_whole(compared, volume):
    comparison, folder = compared
    assert comparison.evidence == compute_fingerprint(Freshness(volume.plan), volume.experiment)
    assert publication.read_comparison(folder) == comparison


@pytest.mark.usefixtures("volume")
def test_what_was_judged_before_is_not_judged_again(volumes, monkeypatch, capsys):
    assert command_line.main(["report"]) == 0
    first = capsys.readouterr().out
    path = volumes / "resnet8-cifar10" / "comparison" / "comparison.json"
    before = path.stat().st_mtime_ns, path.stat().st_ino
    monkeypatch.setattr(comparing, "compare", lambda *_: pytest.fail("judged again"))
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


@pytest.fixture
def judged_once(volume, volumes, capsys):  # noqa: ARG001
    """(the folder of a comparison, what `report` said of it)"""
    assert command_line.main(["report"]) == 0
    return volumes / "resnet8-cifar10" / "comparison", capsys.readouterr().out


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "flip": (flip, "changed after it was written"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "changed after it was written"),
    "empty": (lambda path: path.write_bytes(b""), "changed after it was written"),
    "gone": (lambda path: path.unlink(), "is missing"),
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, "flip") for name in publication.FILES] + [("comparison.md", kind) for kind in ("cut", "empty", "gone")],
)
def test_a_damaged_comparison_is_told_and_made_anew(judged_once, capsys, name, kind):
    folder, first = judged_once
    before = contents(folder)
    damage, problem = DAMAGE[kind]
    damage(folder / name)
    assert command_line.main(["report"]) == 0
    out = capsys.readouterr().out
    assert out == f"the comparison was damaged: made anew ({name} {problem})\n{first}"
    assert contents(folder) == before
    assert command_line.main(["report"]) == 0
    assert capsys.readouterr().out == first, "once mended, nothing is told"


def test_an_edited_figure_is_not_believed(judged_once, capsys):
    folder, first = judged_once
    path = folder / "comparison.json"
    data = json.loads(path.read_text())
    data["variants"][3]["metrics"][0]["value"] = 0.9999
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    assert command_line.main(["report"]) == 0
    out = capsys.readouterr().out
    assert "99.99" not in out
    assert out.endswith(first)


@pytest.mark.parametrize("text", ["", '{"schema": 2}', None])
def test_a_damaged_manifest_is_told_and_made_anew(judged_once, capsys, text):
    folder, first = judged_once
    path = folder / publication.MANIFEST
    path.unlink() if text is None else path.write_text(text)
    assert command_line.main(["report"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("the comparison was damaged: made anew (manifest.json ")
    assert out.endswith(first)


def test_one_of_another_version_is_made_anew_without_a_word(judged_once, capsys):
    folder, first = judged_once
    texts = {name: (folder / name).read_text() for name in publication.FILES}
    texts["comparison.json"] = json.dumps(json.loads(texts["comparison.json"]) | {"future": 1})
    publication.publish(folder, texts)
    assert command_line.main(["report"]) == 0
    assert capsys.readouterr().out == first


def remake(volume, name="predictions.torch.x86", wrong=20):
    volume.publish(name, {"output_0.npy": answers(wrong)})


def test_evidence_that_is_replaced_while_it_is_compared_is_compared_again(volume, volumes, monkeypatch, capsys):
    """As by a `run` beside a `report`: the digests of the one and the figures of the other must not be mixed."""
    compare, calls = comparing.compare, []

    def interrupted(evaluation, chosen, looks):
        calls.append(chosen.name)
        if len(calls) == 1:
            compute_fingerprint(evaluation.evidence.freshness, chosen)
            remake(volume)
        return compare(evaluation, chosen, looks)

    monkeypatch.setattr(comparing, "compare", interrupted)
    assert command_line.main(["report"]) == 3, "the timings are of other files now"
    assert len(calls) == 2
    capsys.readouterr()
    written = publication.read_comparison(volumes / "resnet8-cifar10" / "comparison")
    assert written.evidence == compute_fingerprint(Freshness(volume.plan), volume.experiment)
    assert {row.name: accuracy_of(row) for row in written.variants}["torch.x86"] == 0.8


def test_evidence_that_vanishes_while_it_is_compared_is_compared_again(volume, monkeypatch):
    compare, calls = comparing.compare, []

    def interrupted(evaluation, chosen, looks):
        calls.append(chosen.name)
        if len(calls) == 1:
            compute_fingerprint(evaluation.evidence.freshness, chosen)
            volume.remove("predictions.torch.x86")
        return compare(evaluation, chosen, looks)

    monkeypatch.setattr(comparing, "compare", interrupted)
    assert command_line.main(["report"]) == 3
    assert len(calls) == 2


def test_evidence_that_is_replaced_all_the_time_is_not_compared(volume, volumes, monkeypatch, capsys):
    compare, calls = comparing.compare, []

    def interrupted(evaluation, chosen, looks):
        calls.append(chosen.name)
        comparison = compare(evaluation, chosen, looks)
        remake(volume, wrong=20 + len(calls))
        return comparison

    monkeypatch.setattr(comparing, "compare", interrupted)
    assert command_line.main(["report"]) == 2
    assert capsys.readouterr().err == (
        "error: another command makes 'predictions.torch.x86' anew while it is compared: wait for it, then "
        "`./crossquant report`\n"
    )
    assert not (volumes / "resnet8-cifar10" / "comparison").exists()


def test_a_damaged_record_of_a_failure_is_told_and_stops_nothing(volume, capsys):
    volume.remove("latency.torch")
    volume.fail("latency.torch", "no time")
    store.failure_path(volume.plan, "latency.torch").write_text("{")
    assert command_line.main(["report"]) == 3
    message = "latency.torch failed: the record of why it failed is damaged: run `./crossquant run latency.torch`"
    assert message in capsys.readouterr().out
