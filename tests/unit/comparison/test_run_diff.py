"""Two runs side by side: what moved, and whether it is more than noise."""

import json
import shutil
from dataclasses import replace
from io import StringIO

import comparisons
import numpy as np
import pytest
from rich.console import Console
from runs import LABELS, answers, diff, keep

from driver.analysis.evaluation import Truth
from driver.cli import diff as diff_command
from driver.cli import main as command_line
from driver.comparison import publication, run_diff
from driver.comparison.run_diff import Run
from driver.report import diff as diff_report
from shared.artifacts import store
from shared.data.samples import About
from shared.errors import CrossquantError


def run(name, right=900, labels=LABELS, **changes):
    comparison = replace(comparisons.comparison(), **changes)
    return Run(name, comparison, Truth(About(), labels), {"onnx.int8": (answers(right),)})


def shown(before, after):
    text = StringIO()
    diff_report.show(before, after, Console(file=text, width=120))
    return text.getvalue().splitlines()


def row(before, after, name="onnx.int8"):
    (line,) = [line for line in shown(before, after) if line.startswith(name)]
    return line.split()


def test_the_same_run_twice():
    lines = shown(run("a"), run("b"))
    assert lines[:2] == ["a → b", "the same versions"]
    assert row(run("a"), run("b"))[3:7] == ["+0.00", "−0.36…+0.36", "1", "0"]


def test_a_loss_is_tested_on_the_same_images():
    cells = row(run("a"), run("b", right=870))
    assert (cells[3], cells[6]) == ("−3.00", "30")
    assert float(cells[5]) < 1e-6


def test_other_test_data_are_told():
    sample = {**comparisons.FULL, "test_images": 2000, "sample": True}
    lines = shown(run("a", labels=LABELS[:500], dataset=sample), run("b"))
    data = "2,000 images of cifar10 (test, embedded sample) → 10,000 images of cifar10 (test)"
    assert f"not the same test data: {data}; nothing is tested pair by pair" in lines


def test_other_samples_of_one_name_are_told():
    lines = shown(run("a", labels=LABELS + 1), run("b"))
    data = "both are 10,000 images of cifar10 (test), with other samples"
    assert f"not the same test data: {data}; nothing is tested pair by pair" in lines


def test_the_same_data_need_no_line():
    assert not [line for line in shown(run("a"), run("b")) if "test data" in line]


def test_a_program_gets_the_same_as_data():
    document = diff_command.describe(run("a"), run("b", right=870))
    assert (document["same_samples"], [each["name"] for each in document["runs"]]) == (True, ["a", "b"])
    (moved,) = [each for each in document["variants"] if each["name"] == "onnx.int8"]
    assert moved["test"]["delta"] == pytest.approx(-0.03)
    assert (moved["changed"], moved["before"], moved["after"]) == (30, moved["after"], moved["before"])
    (other,) = [each for each in document["variants"] if each["name"] == "keras.fp32"]
    assert (other["test"], other["changed"]) == (None, None)
    json.dumps(document)


def test_other_labels_are_no_pairs():
    other = run("b", labels=np.ones(1000, np.uint8))
    assert row(run("a"), other)[3:7] == ["–", "–", "–", "0"]


def test_versions_that_moved_are_named():
    before = run("a", versions={"onnx": {"onnxruntime": "1.31.0", "numpy": "2.4.6"}})
    after = run("b", versions={"onnx": {"onnxruntime": "1.32.0", "numpy": "2.4.6"}, "torch": {"torch": "2.13.0"}})
    assert shown(before, after)[1:3] == ["onnx: onnxruntime 1.31.0 → 1.32.0", "torch: torch – → 2.13.0"]


def test_another_cpu_is_told():
    host = comparisons.comparison().host
    lines = shown(run("a", host={**host, "cpu": "Old"}), run("b", host={**host, "cpu": "New"}))
    assert lines[2] == "another CPU: Old → New; the timings are of two machines"


def test_a_variant_of_one_run_alone_has_dashes():
    rows = comparisons.comparison().variants
    after = run("b", variants=tuple(item for item in rows if item.name != "torch.x86"))
    assert row(run("a"), after, "torch.x86")[2:7] == ["–"] * 5


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(CrossquantError) as caught:
        run_diff.load(str(tmp_path))
    assert str(caught.value) == (
        f"'{tmp_path}' is no run: give the folder of an experiment that has a comparison/comparison.json"
    )


REPORT = "`./crossquant report --experiment yesterday`"


@pytest.fixture
def yesterday(volumes):
    """The folder of a run whose comparison and evidence are whole, below volumes/."""
    folder = volumes / "yesterday"
    manifests = {
        "dataset": keep(folder / "keras" / "dataset", {"labels": LABELS, "input_0": np.zeros((1000, 1), np.uint8)}),
        "predictions.onnx.int8": keep(folder / "onnx" / "predictions.onnx.int8", {"output_0": answers(5)}),
    }
    keep(folder / "onnx" / "predictions.onnx.uint8", {"output_0": answers(7)})  # was not up to date: not compared
    comparison = comparisons.comparison(digests={name: store.digest(manifest) for name, manifest in manifests.items()})
    publication.publish(folder / "comparison", comparisons.files(comparison))
    return folder


@pytest.mark.usefixtures("yesterday")
def test_a_run_is_found_by_its_name_below_volumes():
    earlier_run = run_diff.load("yesterday")
    assert earlier_run.comparison.variants == comparisons.comparison().variants
    assert list(earlier_run.answers) == ["onnx.int8"], "what was compared, and nothing else"


def test_a_run_beside_itself(yesterday, capsys):
    assert diff(capsys, yesterday, "yesterday") == (0, "")


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", publication.FILES)
def test_a_damaged_file_of_a_comparison_is_named(yesterday, capsys, name):
    path = yesterday / "comparison" / name
    flip(path)
    message = f"error: {path} {{}}: make this comparison anew with {REPORT}\n"
    assert diff(capsys, yesterday, "yesterday") == (2, message.format("changed after it was written"))
    path.unlink()
    assert diff(capsys, yesterday, "yesterday") == (2, message.format("is missing"))


def test_a_comparison_without_a_manifest_is_not_believed(yesterday, capsys):
    (yesterday / "comparison" / "manifest.json").unlink()
    code, error_text = diff(capsys, yesterday, "yesterday")
    assert code == 2
    assert error_text.startswith(f"error: {yesterday}/comparison/manifest.json is missing: ")


@pytest.mark.parametrize(
    "file", ["keras/dataset/labels.npy", "keras/dataset/input_0.npy", "onnx/predictions.onnx.int8/output_0.npy"]
)
def test_altered_evidence_gives_no_figure(yesterday, capsys, file):
    flip(yesterday / file)
    code, error_text = diff(capsys, yesterday, "yesterday")
    assert code == 2
    assert len(error_text.splitlines()) == 1
    assert (yesterday / file).parent.name in error_text


def test_evidence_that_is_gone_gives_no_figure(yesterday, capsys):
    path = yesterday / "onnx" / "predictions.onnx.int8"
    store.remove(path)
    assert diff(capsys, "yesterday", yesterday) == (
        2,
        f"error: {path} is missing since it was compared: make the comparison anew with {REPORT}\n",
    )


def test_evidence_that_was_made_anew_gives_no_figure_beside_the_old_comparison(yesterday, capsys):
    path = yesterday / "onnx" / "predictions.onnx.int8"
    keep(path, {"output_0": answers(6)})
    assert diff(capsys, "yesterday", yesterday) == (
        2,
        f"error: {path} was made anew since it was compared: make the comparison anew with {REPORT}\n",
    )


def test_a_run_without_test_samples(yesterday, capsys):
    publication.publish(yesterday / "comparison", comparisons.files(comparisons.comparison(digests={})))
    code, error_text = diff(capsys, yesterday, "yesterday")
    assert (code, len(error_text.splitlines())) == (2, 1)
    assert "was compared without test samples" in error_text


def test_a_comparison_of_another_version(yesterday, capsys):
    texts = {name: (yesterday / "comparison" / name).read_text() for name in publication.FILES}
    texts["comparison.json"] = json.dumps(json.loads(texts["comparison.json"]) | {"future": 1})
    publication.publish(yesterday / "comparison", texts)
    code, error_text = diff(capsys, yesterday, "yesterday")
    assert code == 2
    assert "comparison.json was written by another version of crossquant (future: unknown key" in error_text


def test_a_file_is_no_run(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    code, error_text = diff(capsys, tmp_path / "file", "yesterday")
    assert code == 2
    assert "is no run" in error_text


DEEP = "[" * 100_000, '{"dataset": ' + "[" * 60 + "]" * 60 + "}", "no JSON"


@pytest.mark.parametrize("text", DEEP, ids=["endless", "deep", "none"])
def test_a_comparison_that_is_no_json_is_damaged(yesterday, capsys, text):
    texts = {name: (yesterday / "comparison" / name).read_text() for name in publication.FILES}
    publication.publish(yesterday / "comparison", texts | {"comparison.json": text})
    code, error_text = diff(capsys, yesterday, "yesterday")
    assert (code, len(error_text.splitlines())) == (2, 1)
    assert f"{yesterday}/comparison/comparison.json can't be read (" in error_text


@pytest.mark.parametrize(
    "outputs",
    [np.zeros((1000, 0), np.float32), np.zeros((3, 2), np.float32), np.array(["a"] * 1000), answers(5)[:, None]],
)
def test_answers_that_are_none_give_no_figure(yesterday, outputs):
    folder = yesterday / "onnx" / "predictions.onnx.int8"
    manifest = keep(folder, {"output_0": outputs})
    before = run_diff.publication.read_comparison(yesterday / "comparison")
    comparison = replace(before, digests=before.digests | {"predictions.onnx.int8": store.digest(manifest)})
    publication.publish(yesterday / "comparison", comparisons.files(comparison))
    kept = run_diff.load("yesterday").outputs
    assert list(kept) == (["onnx.int8"] if outputs.size == 2000 else [])


def test_versions_of_another_run_are_no_markup():
    before = run("before")
    after = run("after", versions={"keras": {"keras": "[/x][bold]"}})
    assert any("[/x][bold]" in line for line in shown(before, after))


def test_samples_that_are_none_are_named(yesterday, capsys):
    folder = yesterday / "keras" / "dataset"
    manifest = keep(folder, {"labels": np.array(["a"] * 1000), "input_0": np.zeros((1000, 1), np.uint8)})
    before = run_diff.publication.read_comparison(yesterday / "comparison")
    comparison = replace(before, digests=before.digests | {"dataset": store.digest(manifest)})
    publication.publish(yesterday / "comparison", comparisons.files(comparison))
    code, error_text = diff(capsys, yesterday, "yesterday")
    assert code == 2
    assert error_text == f"error: {folder} can't be read: labels.npy is <U1 (1000,): run that experiment again\n"


@pytest.fixture
def slower(yesterday):
    """A copy of the run, in which onnx.int8 takes 0.33 ms instead of 0.297."""
    folder = yesterday.with_name("today")
    shutil.copytree(yesterday, folder)
    compared = publication.read_comparison(folder / "comparison")
    rows = [
        replace(row, latency_ms=replace(row.latency_ms, p50=0.33)) if row.name == "onnx.int8" else row
        for row in compared.variants
    ]
    publication.publish(folder / "comparison", comparisons.files(replace(compared, variants=tuple(rows))))
    return folder


@pytest.mark.usefixtures("slower")
@pytest.mark.parametrize(("limit", "code"), [("p50_ms=12%", 0), ("p50_ms=10%", 1), ("size_kb=0", 0)])
def test_the_exit_code_says_whether_a_limit_holds(capsys, limit, code):
    assert command_line.main(["diff", "yesterday", "today", "--fail-on", limit]) == code
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("worse than yesterday: onnx.int8 has p50_ms ")]) == code
    assert lines[-1].startswith(f"Against yesterday ({limit}): ")
    assert command_line.main(["diff", "yesterday", "today", "--fail-on", limit, "--json"]) == code
    checked = json.loads(capsys.readouterr().out)["baseline"]
    assert [gate["variant"] for gate in checked["gates"] if not gate["holds"]] == ["onnx.int8"] * code


@pytest.mark.usefixtures("yesterday")
def test_a_wrong_limit_is_wrong_use(capsys):
    code, error_text = diff(capsys, "yesterday", "yesterday", "--fail-on", "p50=10%")
    assert code == 2
    assert error_text.startswith("error: --fail-on p50=10%: no such metric; did you mean p50_ms")


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_the_table_fits_the_terminal_and_no_cell_is_cut(width):
    text = StringIO()
    diff_report.show(run("a"), run("b", right=870), Console(file=text, width=width))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    (cells,) = [line.split() for line in lines if line.startswith("onnx.int8 ")]
    assert set(cells) <= set(row(run("a"), run("b", right=870)))
    assert cells[:4] == ["onnx.int8", "87.77", "87.77", "−3.00"]
