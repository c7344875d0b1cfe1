"""Two runs side by side: what moved, and whether it is more than noise."""

import json
from dataclasses import asdict, replace
from io import StringIO

import comparisons
import numpy as np
import pytest
from rich.console import Console

from driver import difference
from driver.difference import Run
from driver.tasks import Truth
from shared.errors import CrossquantError
from shared.samples import About

LABELS = np.zeros(1000, np.uint8)


def answers(right):
    """Probabilities over two classes; the first `right` images are answered rightly."""
    found = np.zeros((1000, 2), np.float32)
    found[:right, 0] = found[right:, 1] = 1
    return found


def run(name, right=900, labels=LABELS, **changes):
    made = replace(comparisons.comparison(), **changes)
    return Run(name, made, Truth(About(), labels), {"onnx.int8": answers(right)})


def shown(before, after):
    text = StringIO()
    difference.show(before, after, Console(file=text, width=120))
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
        difference.load(str(tmp_path))
    assert str(caught.value) == (
        f"'{tmp_path}' is no run: give the folder of an experiment that has a comparison/comparison.json"
    )


def test_a_run_is_found_by_its_name_below_volumes(volumes):
    made = comparisons.comparison()
    folder = volumes / "yesterday"
    for path in (folder / "comparison", folder / "keras" / "dataset", folder / "onnx" / "predictions.onnx.int8"):
        path.mkdir(parents=True)
    (folder / "comparison" / "comparison.json").write_text(json.dumps(asdict(made)))
    np.save(folder / "keras" / "dataset" / "labels.npy", LABELS)
    np.save(folder / "keras" / "dataset" / "input_0.npy", np.zeros((1000, 1), np.uint8))
    np.save(folder / "onnx" / "predictions.onnx.int8" / "output_0.npy", answers(5))
    found = difference.load("yesterday")
    assert found.comparison == made
    assert list(found.answers) == ["onnx.int8"]
