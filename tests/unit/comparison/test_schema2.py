"""Comparisons that version 0.2 wrote (two of its tests' own, shortened), read as today's and by `diff`."""

import json
from pathlib import Path

import comparisons
import numpy as np
import pytest
from runs import LABELS, answers, diff, keep

from driver.analysis.facts import Decision
from driver.analysis.results import Comparison
from driver.comparison import publication, run_diff, schema2
from shared.artifacts import store
from shared.contract import decode, encode
from shared.errors import FieldError

FOLDER = Path(__file__).parent / "schema2"
NAMES = ("classes", "regression")


def read(name: str) -> dict:
    data: dict = json.loads((FOLDER / f"{name}.json").read_text())
    return data


def convert(data: dict) -> Comparison:
    comparison: Comparison = decode(Comparison, schema2.convert_to_schema3(data))
    return comparison


def without(data: object, *keys: str) -> object:
    """The same without these keys, wherever they stand."""
    if isinstance(data, dict):
        return {key: without(value, *keys) for key, value in data.items() if key not in keys}
    return [without(value, *keys) for value in data] if isinstance(data, list) else data


def with_whole_gates(data: dict) -> dict:
    """With what a gate says only today: it was on no class, and against no other run."""
    return data | {key: [gate | {"label": None, "before": None} for gate in data[key]] for key in ("gates", "not_held")}


@pytest.mark.parametrize("name", NAMES)
def test_all_but_the_decision_is_as_it_was(name: str):
    earlier = read(name)
    new = ("assessments", "may_saturate", "targets", "smallest_loss", "unchecked", "origin", "baseline", "require")
    new += ("breakdowns", "further_outputs")
    changed = ("schema", "decision", "p_holm")
    comparison = convert(earlier)
    assert comparison.schema == 3
    assert without(json.loads(encode(comparison)), *new, *changed) == without(with_whole_gates(earlier), *changed)


@pytest.mark.parametrize("name", NAMES)
def test_of_the_decision_what_was_shipped_is_kept(name: str):
    """It rested on tests that there are no more."""
    earlier = read(name)
    decision = earlier["decision"]
    assert decision["reasons"]
    assert convert(earlier).decision == Decision(decision["outcome"], decision["variant"], ())
    assert convert(earlier | {"decision": None}).decision is None


def test_what_was_corrected_over_the_variants_is_left_out():
    """A class keeps what was corrected over the classes."""
    earlier = read("classes")
    row = next(row for row in earlier["variants"] if row["name"] == "onnx.int8")
    assert row["paired"]["p_holm"] == row["metrics"][0]["p_holm"] == pytest.approx(0.0036, abs=1e-4)
    row["losing"][0]["paired"]["p_holm"] = 0.0123
    converted = next(row for row in convert(earlier).variants if row.name == "onnx.int8")
    assert converted.paired is not None
    assert (converted.paired.p_value, converted.paired.p_holm) == (row["paired"]["p_value"], None)
    assert converted.losing[0].paired.p_holm == 0.0123
    assert converted.assessments == ()


@pytest.mark.parametrize("change", [{"variants": 1}, {"decision": {}}, {"conversion_steps": [{}]}])
def test_what_is_no_comparison_of_schema_2_is_an_error(change: dict):
    with pytest.raises(FieldError, match="is not of schema 2"):
        schema2.convert_to_schema3(read("classes") | change)


@pytest.fixture
def earlier_run(volumes: Path) -> Path:
    """The folder of a run whose comparison is of schema 2."""
    folder = volumes / "earlier"
    manifests = {
        "dataset": keep(folder / "keras" / "dataset", {"labels": LABELS, "input_0": np.zeros((1000, 1), np.uint8)}),
        "predictions.onnx.fp32": keep(folder / "onnx" / "predictions.onnx.fp32", {"output_0": answers(5)}),
    }
    data = read("classes") | {"digests": {name: store.digest(manifest) for name, manifest in manifests.items()}}
    texts = comparisons.files(comparisons.comparison()) | {"comparison.json": json.dumps(data)}
    publication.publish(folder / "comparison", texts)
    return folder


def test_diff_reads_it(earlier_run: Path, capsys: pytest.CaptureFixture[str]):
    assert list(run_diff.load("earlier").answers) == ["onnx.fp32"]
    assert diff(capsys, earlier_run, "earlier") == (0, "")


def test_report_makes_it_anew(earlier_run: Path):
    with pytest.raises(publication.OtherVersion):
        publication.read_comparison(earlier_run / "comparison")
