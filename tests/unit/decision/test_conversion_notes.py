"""How a variant was made, where that was not the usual way, stands on its row."""

import pytest
from evidence_makers import Volume, answers, default_experiment, evaluate

from driver.analysis.artifacts import Evidence
from driver.analysis.facts import ConversionNote, MadeByPt2e, OperatorsInFloat, RewrittenGraph, StageNote
from driver.comparison import compare
from driver.decision import conversion_notes
from shared.artifacts.freshness import Freshness

REWRITTEN = ["Gelu_3 by its own definition", "MatMul_1 and Add_2 as a linear layer", "Loop_5 step by step"]


@pytest.fixture
def volume(volumes) -> Volume:  # noqa: ARG001
    return Volume(default_experiment()).whole()


def evidence(volume: Volume) -> Evidence:
    return Evidence(Freshness(volume.plan))


def read_manifest(volume: Volume, name: str, **files: object) -> None:
    volume.publish(name, {"model.bin": b"x", **{f"{file}.json": content for file, content in files.items()}})
    volume.publish(f"predictions.{name}", {"output_0.npy": answers(10)})


def notes(volume: Volume, name: str) -> tuple[ConversionNote, ...]:
    rows = compare.compare(evaluate(volume), volume.experiment).variants
    return next(row.conversion_notes for row in rows if row.name == name)


def test_the_usual_way_is_not_told(volume):
    read_manifest(volume, "torch.fp32", conversion={"by": "onnx2torch", "rewritten": []})
    read_manifest(volume, "torch.int8", quantized={"path": "fx", "quantized": 10, "operators": 10, "engine": "fbgemm"})
    assert conversion_notes.read_notes(evidence(volume), "torch.fp32") == ()
    assert conversion_notes.read_notes(evidence(volume), "torch.int8") == ()


def test_what_was_rewritten_is_told(volume):
    read_manifest(volume, "torch.fp32", conversion={"by": "onnx2torch", "rewritten": REWRITTEN})
    assert notes(volume, "torch.fp32") == (RewrittenGraph(tuple(REWRITTEN)),)


def test_another_quantizer_in_the_place_of_fx_is_told_with_the_reason(volume):
    read_manifest(
        volume,
        "torch.int8",
        quantized={"path": "pt2e", "reason": "can't trace Loop_5", "quantized": 7, "operators": 10},
    )
    assert notes(volume, "torch.int8") == (MadeByPt2e("can't trace Loop_5"), OperatorsInFloat(3, 10))


def test_what_the_export_noted_stands_on_the_onnx_row(volume):
    volume.publish("exported", {"model.onnx": b"exported", "notes.json": ["SimpleRNN 'rnn' is unrolled: 12 steps"]})
    read_manifest(volume, "onnx.fp32")
    assert notes(volume, "onnx.fp32") == (StageNote("SimpleRNN 'rnn' is unrolled: 12 steps"),)


def test_a_refused_variant_has_no_notes(volume):
    volume.publish("torch.int8", refused="no converter for Loop")
    assert conversion_notes.read_notes(evidence(volume), "torch.int8") == ()
