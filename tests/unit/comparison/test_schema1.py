"""Comparisons that an earlier version wrote (two real ones, shortened), read as today's and by `diff`."""

import json
from pathlib import Path

import comparisons
import numpy as np
import pytest
from runs import LABELS, answers, diff, keep
from variant_makers import accuracy_of, difference_of

from driver.analysis.facts import FormatConversion, Quantization
from driver.analysis.results import Comparison, Draws, Interval, Point
from driver.comparison import publication, run_diff, schema1, schema2
from shared.artifacts import store
from shared.contract import decode
from shared.data import samples
from shared.data.samples import About
from shared.errors import CrossquantError, FieldError

FOLDER = Path(__file__).parent / "schema1"
NAMES = ("classes", "fidelity")


def read(name: str) -> dict:
    data: dict = json.loads((FOLDER / f"{name}.json").read_text())
    return data


def convert(data: dict) -> Comparison:
    comparison: Comparison = decode(Comparison, schema2.convert_to_schema3(schema1.convert_to_schema2(data)))
    return comparison


@pytest.mark.parametrize("name", NAMES)
def test_all_but_the_sentences_is_as_it_was(name: str):
    earlier = read(name)
    comparison = convert(earlier)
    assert comparison.schema == 3
    assert (comparison.shipped, comparison.evidence, comparison.host) == (
        earlier["verdict"]["ship"],
        earlier["evidence"],
        earlier["host"],
    )
    for row, before in zip(comparison.variants, earlier["variants"], strict=True):
        assert (row.name, row.status, row.reason) == (before["name"], before["status"], before["reason"])
        assert (accuracy_of(row), row.size_bytes) == (before["accuracy"], before["size_bytes"])
        others = [metric for metric in row.metrics if metric.name != "accuracy"]
        assert [metric.value for metric in others] == [metric["value"] for metric in before["metrics"]]
        assert (difference_of(row), row.agreement) == (before["delta_pp"], before["agreement"])
        assert (row.latency_ms and row.latency_ms.p50) == (before["latency_ms"] and before["latency_ms"]["p50"])
        assert (row.warnings, row.conversion_notes) == ((), ())
    assert [item.repeat_of for item in comparison.noise] == [item["twin_of"] for item in earlier["noise"]]
    assert [(step.before, step.after) for step in comparison.conversion_steps] == [
        (leg["before"], leg["after"]) for leg in earlier["legs"]
    ]


def test_labels_of_legs_become_what_they_changed():
    comparison = convert(read("classes"))
    changes = {step.after: step.change for step in comparison.conversion_steps}
    assert changes["onnx.fp32"] == FormatConversion("Keras", "ONNX")
    assert changes["torch.onednn"] == Quantization("int8", "int8", "static")


@pytest.mark.parametrize(("name", "row", "delta"), [("classes", 2, -0.02), ("fidelity", 2, -2.0)])
def test_draws_and_other_cpus_have_values_in_the_metric_s_own_unit(name: str, row: int, delta: float):
    """The difference of an accuracy was in points."""
    earlier, span = read(name), {"low": 0.7, "high": 0.9}
    run = {"cpu": "haswell", "images": 9, "accuracy": 0.75, "interval": span, "here": 0.8, "agreement": 1.0}
    earlier["variants"][row] |= {
        "draws": {"accuracies": [0.8, 0.9], "mean": 0.85, "sd": 0.07, "delta_pp": -2.0},
        "curve": [{"images": 100, "accuracy": 0.8, "interval": span}],
        "emulated": [run | {"p_value": 1.0, "better": "higher", "margin": 0.0}],
    }
    comparison = convert(earlier)
    converted = comparison.variants[row]
    assert converted.draws == Draws((0.8, 0.9), 0.85, 0.07, delta)
    assert converted.curve == (Point(100, 0.8, Interval(0.7, 0.9)),)
    assert (converted.emulated[0].value, converted.emulated[0].here) == (0.75, 0.8)


def test_the_output_that_was_judged_is_the_one_that_is_evaluated(tmp_path: Path):
    earlier = read("classes")
    earlier["dataset"]["judged"] = 1
    assert schema1.convert_to_schema2(earlier)["dataset"] == read("classes")["dataset"] | {"evaluated_output": 1}
    assert schema1.read_about(tmp_path) == About()
    (tmp_path / samples.ABOUT).write_text('{"name": "houses", "task": "regression", "judged": 1}')
    assert schema1.read_about(tmp_path) == About("houses", task="regression", evaluated_output=1)
    (tmp_path / samples.ABOUT).write_text('["houses"]')
    with pytest.raises(CrossquantError, match=r"about.json can't be read: .*: run that experiment again"):
        schema1.read_about(tmp_path)


@pytest.mark.parametrize(
    ("ship", "outcome"), [("", "ship_nothing"), ("keras.fp32", "keep_reference"), ("onnx.fp32", "ship")]
)
def test_the_outcome_follows_from_what_was_shipped(ship: str, outcome: str):
    earlier = read("classes")
    earlier["verdict"]["ship"] = ship
    comparison = convert(earlier)
    assert comparison.decision is not None
    assert (comparison.decision.outcome, comparison.decision.variant) == (outcome, ship)


@pytest.mark.parametrize("change", [{"legs": 1}, {"verdict": None}, {"noise": [{}]}])
def test_what_is_no_comparison_of_schema_1_is_an_error(change: dict):
    with pytest.raises(FieldError, match="is not of schema 1"):
        schema1.convert_to_schema2(read("classes") | change)


@pytest.fixture
def earlier_run(volumes: Path) -> Path:
    """The folder of a run whose comparison is of schema 1."""
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
    """As it does with a comparison of any other version."""
    with pytest.raises(publication.OtherVersion):
        publication.read_comparison(earlier_run / "comparison")
