"""What a stage left that isn't as declared makes that artifact unusable, in one line; all else goes on."""

import dataclasses
import json
from dataclasses import asdict

import comparisons
import numpy as np
import pytest
from evidence_makers import LABELS, RECIPES, START, Volume, answers, default_experiment, evaluate, timings, with_extra
from thorough import FOUND
from variant_makers import accuracy_of

from driver.analysis import explanations, saturation, stage_outputs
from driver.analysis.artifacts import Evidence
from driver.analysis.evaluation import Evaluation
from driver.analysis.facts import StageNote
from driver.catalog import declarations
from driver.cli import explain
from driver.cli.arguments import Display
from driver.cli.console import make_output
from driver.comparison import compare, page_data
from driver.decision.run_outcome import find_exit_code
from driver.report import files, junit, markdown
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.emulation import emulation
from shared.errors import CrossquantError

pytestmark = pytest.mark.usefixtures("volumes")
ESCAPE = "\x1b[2J\x1b[Hall gates hold\nShip onnx.int8: same accuracy\u202eabc"
CPU = {"name": "a", "int8_instructions": ["avx2"]}
TIMED = asdict(timings("keras.fp32"))


@pytest.fixture
def volume() -> Volume:
    return Volume(default_experiment()).whole()


def evidence(volume: Volume) -> Evidence:
    return Evidence(Freshness(volume.plan))


def replaced(volume: Volume, name: str, **files: object) -> None:
    """Replace files of an artifact and write its manifest anew: bytes as they are, all else as JSON or .npy."""
    folder = store.artifact_path(volume.plan, name)
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != store.MANIFEST}
    volume.publish(name, kept | files)


def header(text: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text + b"\n"


def declaring(shape: tuple[int, ...]) -> bytes:
    return header(str({"descr": "<f4", "fortran_order": False, "shape": shape}).encode())


def pickled() -> bytes:
    return header(b"{'descr': '|O', 'fortran_order': False, 'shape': (100,), }") + b"cos\nsystem\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (header(b"(" * 5000), "output_0.npy has no valid .npy header, or is cut short"),
        (header(b"-" * 9000), "output_0.npy has no valid .npy header, or is cut short"),
        (header(b"[" * 60000), "output_0.npy has no valid .npy header, or is cut short"),
        (declaring((100, 10**15)), "output_0.npy has no valid .npy header, or is cut short"),
        (pickled(), "output_0.npy has no valid .npy header, or is cut short"),
        (b"PK\x05\x06" + bytes(18), "output_0.npy has no valid .npy header, or is cut short"),
        (b"", "output_0.npy has no valid .npy header, or is cut short"),
        (np.zeros((100, 0), np.float32), ""),
        (np.zeros((99, 10), np.float32), "output_0.npy is float32 (99, 10), which are no answers to 100 samples"),
        (np.zeros((100, 10)), "output_0.npy is float64 (100, 10), which are no answers to 100 samples"),
        (np.full((100, 10), np.nan, np.float32), "output_0.npy has NaN or infinity"),
    ],
)
def test_predictions_that_are_no_answers_are_their_rows_reason(volume, content, why):
    replaced(volume, "predictions.onnx.int8", **{"output_0.npy": content})
    volume_evidence = evidence(volume)
    step = volume.plan.step("onnx.int8")
    status, reason = volume_evidence.status(step)
    assert (status, reason[:30]) == ("failed", "its predictions can't be read:")
    assert why in reason
    assert reason.endswith(": run `./crossquant run --force predictions.onnx.int8`")
    assert volume_evidence.outputs("onnx.int8") is None
    assert volume_evidence.outputs("onnx.uint8") is not None


@pytest.mark.parametrize("shape", [(100, 3), (100, 10, 2), (100,), (100, 5000)])
def test_answers_of_another_form_than_the_references_are_one_rows_failure(volume, shape):
    replaced(volume, "predictions.onnx.int8", **{"output_0.npy": np.zeros(shape, np.float32)})
    rows = {row.name: row for row in compare.compare(evaluate(volume), volume.experiment).variants}
    wanted = f"it answers {shape[1:]} a sample, the reference (10,)"
    assert (rows["onnx.int8"].status, rows["onnx.int8"].reason) == ("failed", wanted)
    assert accuracy_of(rows["onnx.int8"]) is None
    assert accuracy_of(rows["onnx.uint8"]) == 0.9
    page_data.collect_page_data(Evaluation(evidence(volume), "keras.fp32"), "")


def test_answers_that_fit_no_label_fail_alone_where_the_reference_has_none(volume):
    volume.remove("predictions.keras.fp32")
    replaced(volume, "predictions.onnx.int8", **{"output_0.npy": np.zeros((100, 3), np.float32)})
    rows = {row.name: row for row in compare.compare(evaluate(volume), volume.experiment).variants}
    assert rows["onnx.int8"].reason.startswith("labels from 0 to 9, but the model answers 3 classes")
    assert accuracy_of(rows["onnx.uint8"]) == 0.9


def test_an_output_that_is_left_out(volume):
    replaced(volume, "predictions.onnx.int8", **{"output_7.npy": answers(3)})
    assert "output_1.npy is missing" in evidence(volume).status(volume.plan.step("onnx.int8"))[1]


DEEP = b"[" * 100_000
NOTED = [
    ("notes.json", b"5", "notes.json: must be a list, not 5"),
    ("notes.json", b"{not json", "notes.json: Expecting property name"),
    ("notes.json", b"\xff\xfe\x00", "notes.json: "),
    ("notes.json", b'[{"a": 1}]', "notes.json: 0: must be a text, not {'a': 1}"),
    ("notes.json", DEEP, "notes.json: nested more than 50 deep"),
    ("notes.json", b"[" * 60 + b"]" * 60, "notes.json: nested more than 50 deep"),
    ("notes.json", json.dumps(["line"] * 101).encode(), "notes.json: has 101 lines, 100 at most are read"),
    ("quantized.json", b"[1]", "quantized.json: must be a mapping, not [1]"),
    ("quantized.json", b'{"operators": "7"}', "quantized.json: operators: must be a whole number, not '7'"),
    ("quantized.json", b'{"rewritten": 5}', "quantized.json: rewritten: must be a list, not 5"),
    (
        "quantized.json",
        b'{"operators": 1' + b"0" * 400 + b"}",
        "quantized.json: operators: must be a number of 64 bits",
    ),
    ("conversion.json", b"null", "conversion.json: must be a mapping, not None"),
    ("excluded.json", b"{}", "excluded.json: layers: is missing"),
]


@pytest.mark.parametrize(("file", "content", "why"), NOTED, ids=str)
def test_a_variant_that_says_of_itself_what_it_can_not(volume, file, content, why):
    replaced(volume, "onnx.int8", **{file: content})
    volume.publish("predictions.onnx.int8", {"output_0.npy": answers(10)})
    status, reason = evidence(volume).status(volume.plan.step("onnx.int8"))
    assert (status, reason.startswith(f"it can't be read: {why}")) == ("failed", True), reason
    assert reason.endswith(": run `./crossquant run --force onnx.int8`")
    assert reason.isprintable()


def test_a_long_wrong_value_is_cut(volume):
    replaced(volume, "onnx.int8", **{"notes.json": json.dumps([["x" * 5_000_000]]).encode()})
    volume.publish("predictions.onnx.int8", {"output_0.npy": answers(10)})
    assert len(evidence(volume).status(volume.plan.step("onnx.int8"))[1]) < 400


def test_the_other_rows_and_the_report_go_on(volume):
    before = compare.compare(evaluate(volume), volume.experiment)
    replaced(volume, "onnx.int8", **{"quantized.json": b"[1]"})
    volume.publish("predictions.onnx.int8", {"output_0.npy": answers(10)})
    replaced(volume, "predictions.torch.int8", **{"cpu.json": []})
    volume.latency("onnx", "onnx.fp32", "onnx.int8", "onnx.uint8", "onnx.u8s8")
    volume.startup("onnx", "onnx.fp32", "onnx.int8", "onnx.uint8", "onnx.u8s8")
    volume_evidence = evidence(volume)
    after = compare.compare(Evaluation(volume_evidence, volume.experiment.reference), volume.experiment)
    failed = {row.name: row.reason for row in after.variants if row.status == "failed"}
    assert set(failed) == {"onnx.int8", "torch.int8"}
    assert failed["torch.int8"].startswith("its predictions can't be read: cpu.json: must be a mapping, not []")
    others = [[row for row in comparison.variants if row.name not in failed] for comparison in (before, after)]
    assert [accuracy_of(row) for row in others[0]] == [accuracy_of(row) for row in others[1]]
    assert find_exit_code(after) == 3
    assert saturation.read_answering_cpu(volume_evidence, "torch.int8") is None


def test_what_the_export_noted_wrongly_is_a_failure_of_its_own(volume):
    volume.publish("exported", {"model.onnx": b"exported", "notes.json": 5})
    volume_evidence = evidence(volume)
    assert volume_evidence.failure("exported").reason.startswith("it can't be read: notes.json: must be a list, not 5")
    assert "exported" in [failure.name for failure in volume_evidence.failures()]


def timed(**changes: object) -> dict[str, object]:
    """Timings of one variant, the first of its samples changed."""
    first, *others = TIMED["samples"]
    return {**TIMED, "samples": [first | changes, *others]}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([], "samples.json: must be a mapping, not []"),
        (timed(seconds=[]), "samples.json: samples.seconds: keras.fp32 has none"),
        (timed(seconds=[[]]), "samples.json: samples.seconds: keras.fp32 has none"),
        (timed(seconds=[[0.0, 0.1]]), "samples.json: samples.seconds: 0.0 is no time that anything takes"),
        (timed(seconds=[[float("nan")]]), "samples.json: samples.seconds: nan is no time"),
        (timed(seconds=[[-1.0]]), "samples.json: samples.seconds: -1.0 is no time"),
        (timed(variant="onnx.fp32"), "samples.json: onnx.fp32 is no variant of its image"),
        (timed(batch=0), "samples.json: keras.fp32 was timed with batches of 0 on 1 threads"),
        (timed(batch=10**30), "samples.json: samples.0.batch: must be a number of 64 bits"),
        (timed(batch=7), "samples.json: keras.fp32 again was timed with batches of 1 on 1 threads"),
        ({**TIMED, "machine": {**TIMED["machine"], "steal": float("inf")}}, "samples.json: machine: must be of finite"),
        (None, "samples.json is missing"),
    ],
)
def test_timings_that_are_none_are_told_and_the_other_passes_used(volume, content, why):
    volume.publish("latency.keras", {} if content is None else {"samples.json": content})
    volume_evidence = evidence(volume)
    (failure,) = volume_evidence.failures()
    assert (failure.name, failure.status) == ("latency.keras", "failed")
    assert failure.reason.startswith(f"its timings can't be read: {why}")
    assert failure.reason.endswith(": run `./crossquant run --force latency.keras`")
    assert len(volume_evidence.passes()["keras"]) == 4
    comparison = compare.compare(Evaluation(volume_evidence, volume.experiment.reference), volume.experiment)
    assert (find_exit_code(comparison), comparison.variants[0].latency_ms is not None) == (3, True)
    assert comparison.variants[1].latency_ms is not None


def test_a_pass_without_a_repeat_leaves_the_noise_unknown(volume):
    volume.publish("latency.keras", {"samples.json": {**TIMED, "samples": TIMED["samples"][:1]}})
    comparison = compare.compare(evaluate(volume), volume.experiment)
    assert "keras" not in [noise.image for noise in comparison.noise]
    assert not comparison.failures


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"keras.fp32": []}, "starts.json: keras.fp32 has none"),
        ({"onnx.fp32": [START]}, "starts.json: onnx.fp32 is no variant of its image"),
        ({"keras.fp32": [{**START, "loaded": "x\x1b[2J"}]}, "starts.json: keras.fp32.0.loaded: must be a number"),
        ({"keras.fp32": [{**START, "answered": float("nan")}]}, "starts.json: keras.fp32: nan is no time"),
        ({"keras.fp32": [{**START, "peak_bytes": -5}]}, "starts.json: keras.fp32.peak_bytes: is -5"),
        ({"keras.fp32": [{"imported": 1.0}]}, "starts.json: keras.fp32.0.loaded: is missing"),
    ],
)
def test_cold_starts_of_none_or_of_another_image(volume, content, why):
    volume.publish("startup.keras", {"starts.json": content})
    volume_evidence = evidence(volume)
    (failure,) = volume_evidence.failures()
    assert failure.reason.startswith(f"its cold starts can't be read: {why}")
    assert failure.reason.isprintable()
    assert "keras.fp32" not in volume_evidence.cold()
    assert volume_evidence.cold()["onnx.fp32"].answered == 1.0


@pytest.mark.parametrize("files", [{"input_1.npy": np.zeros((1, 1), np.float32)}, {"about.json": {"task": "guessing"}}])
def test_samples_that_are_none_leave_rows_without_figures(volume, files):
    replaced(volume, "dataset", **files)
    volume_evidence = evidence(volume)
    assert "dataset" in [failure.name for failure in volume_evidence.failures()]
    comparison = compare.compare(Evaluation(volume_evidence, volume.experiment.reference), volume.experiment)
    assert all(accuracy_of(row) is None for row in comparison.variants)


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        (np.arange(50), "groups.npy has 50 groups of 100 samples"),
        (np.zeros((100, 2), np.int64), "groups.npy is int64 (100, 2)"),
        (np.full(100, 0.5), "groups.npy is float64 (100,)"),
        (np.arange(100) - 1, "groups.npy is int64 (100,)"),
        (np.array(["a"] * 100), "groups.npy is <U1 (100,)"),
        (header(b"(" * 5000), "groups.npy has no valid .npy header, or is cut short"),
        (pickled(), "groups.npy has no valid .npy header, or is cut short"),
    ],
)
def test_groups_that_are_none_leave_the_labels_unusable(volume, groups, why):
    volume.publish("labels", {"labels.npy": LABELS, "groups.npy": groups})
    volume_evidence = evidence(volume)
    assert volume_evidence.labels() is volume_evidence.groups() is None
    (failure,) = volume_evidence.failures()
    assert (failure.name, failure.status) == ("labels", "failed")
    assert why in failure.reason


def test_groups_may_be_numbered_as_in_the_set_that_was_split(volume):
    """A test set has some of the groups alone, and none is renumbered."""
    groups = 37 * (np.arange(100) // 10) + 900
    volume.publish("labels", {"labels.npy": LABELS, "groups.npy": groups})
    evaluation = evaluate(volume)
    assert evaluation.evidence.failures() == ()
    assert evaluation.evidence.dataset()["groups"] == 10
    assert evaluation.truth().groups.tolist() == (np.arange(100) // 10).tolist()


@pytest.mark.parametrize("labels", [LABELS[:50], header(b"(" * 5000), np.array(["a"] * 100), np.zeros((100, 0))])
def test_labels_that_are_none(volume, labels):
    volume.publish("labels", {"labels.npy": labels})
    volume_evidence = evidence(volume)
    assert volume_evidence.labels() is None
    assert [failure.name for failure in volume_evidence.failures()] == ["labels"]
    compare.compare(Evaluation(volume_evidence, volume.experiment.reference), volume.experiment)


@pytest.fixture
def elsewhere() -> Volume:
    chosen = default_experiment(recipes=RECIPES, targets=("here", "haswell", "nehalem"), recommended=("onnx.int8",))
    return emulated(Volume(chosen))


def emulated(volume: Volume) -> Volume:
    volume.start()
    for name in ("onnx.fp32", "onnx.int8"):
        volume.variant(name, answers(10))
    return volume


@pytest.mark.parametrize(
    ("indices", "there", "why"),
    [
        (np.arange(1000), answers(0), "indices.npy names samples that there aren't"),
        (np.arange(10.0), answers(0)[:10], "indices.npy is float64 (10,)"),
        (np.arange(10), answers(0), "haswell/output.npy is float32 (100, 10), which are no answers to 10 samples"),
        (np.arange(10), np.zeros((10, 3), np.float32), "haswell/output.npy has answers of (3,), here they are (10,)"),
    ],
)
def test_answers_on_other_cpus_that_are_none(elsewhere, indices, there, why):
    elsewhere.emulate("onnx.int8", indices, {"haswell": there})
    volume_evidence = evidence(elsewhere)
    assert volume_evidence.path("emulation.onnx.int8") is None
    assert volume_evidence.problem("emulation.onnx.int8").startswith(f"its answers on other CPUs can't be read: {why}")
    assert "emulation.onnx.int8" in [failure.name for failure in volume_evidence.failures()]


def test_a_cpu_is_no_path_to_another_artifact(elsewhere):
    run = asdict(emulation.Emulation("", (), 1.0))
    files = {"indices.npy": np.arange(10), emulation.SUMMARY: {"cpus": {"../keras.fp32": run}}}
    elsewhere.publish("emulation.onnx.int8", files)
    assert "../keras.fp32/output.npy is missing" in evidence(elsewhere).problem("emulation.onnx.int8")


def told(comparison) -> list[str]:
    """All that people read of a comparison."""
    return [*files.texts(comparison).values(), junit.junit_text(comparison)]


def test_nothing_that_a_stage_wrote_looks_like_the_tools_own_line(volume):
    volume.publish("onnx.int8", {"model.bin": b"x", "notes.json": [ESCAPE, "<script>alert(1)</script>"]})
    volume.publish("predictions.onnx.int8", {"output_0.npy": answers(10), "cpu.json": CPU | {"name": ESCAPE}})
    volume.publish("torch.uint8", refused=ESCAPE)
    volume.remove("predictions.torch.int8")
    volume.fail("predictions.torch.int8", ESCAPE)
    comparison = compare.compare(evaluate(volume), volume.experiment)
    for text in told(comparison):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert not [line for line in text.splitlines() if line.startswith(("Ship onnx.int8: same", "all gates"))]
    assert (
        StageNote("[2J [Hall gates hold Ship onnx.int8: same accuracy abc") in comparison.variants[3].conversion_notes
    )


def test_what_is_clean_is_as_it_was(volume):
    volume.publish("onnx.int8", {"model.bin": b"x", "notes.json": ["Größe [m²] a < b"]})
    volume.publish("predictions.onnx.int8", {"output_0.npy": answers(10)})
    comparison = compare.compare(evaluate(volume), volume.experiment)
    assert StageNote("Größe [m²] a < b") in comparison.variants[3].conversion_notes


def test_markdown_is_no_html_and_no_links():
    text = markdown.markdown_text(comparisons.hostile())
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script" in text


@pytest.mark.parametrize("shape", [(100, 1), (100, 3, 3), (100,)])
def test_a_reference_that_fits_no_label_fails_alone(volume, shape):
    volume.publish("predictions.keras.fp32", {"output_0.npy": np.zeros(shape, np.float32)})
    rows = {row.name: row for row in compare.compare(evaluate(volume), volume.experiment).variants}
    assert rows["keras.fp32"].reason.startswith("labels from 0 to 9, but the model answers ")
    assert (rows["onnx.int8"].status, accuracy_of(rows["onnx.int8"])) == ("ok", 0.9)


@pytest.mark.parametrize(
    "samples",
    [
        {},
        {"input_0.npy": np.zeros((20, 0, 0, 3), np.float32)},
        {"input_0.npy": np.full((20, 4, 4, 3), "a")},
        {"input_0.npy": header(b"(" * 5000)},
    ],
)
def test_pictures_that_are_none_are_not_drawn(volume, samples):
    volume.publish("calibration", samples)
    volume_evidence = evidence(volume)
    assert "calibration" in [failure.name for failure in volume_evidence.failures()]
    assert page_data.collect_page_data(Evaluation(volume_evidence, "keras.fp32"), "").calibration_images is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_layers_that_can_not_be_drawn(monkeypatch, bad):
    stages = with_extra(declarations.load())
    monkeypatch.setattr(declarations, "load", lambda *_: stages)
    volume = Volume(default_experiment(), stages).start()
    volume.variant("onnx.fp32", answers(10))
    volume.variant("onnx.int8", answers(15))
    volume.explain(dataclasses.replace(FOUND, float_kl=bad))
    volume_evidence = evidence(volume)
    assert explanations.read_explanation(volume_evidence, "onnx.int8") is None
    assert volume_evidence.problem("explain.onnx.int8").startswith(
        "its layers can't be read: layers.json: a KL divergence is no "
    )
    with pytest.raises(CrossquantError, match=r"^onnx\.int8 can't be explained: its layers can't be read"):
        explain.show_explanation(volume_evidence.freshness, "onnx.int8", make_output(Display()))


def test_labels_of_several_classes_a_sample_are_one_line(volume):
    volume.test_set(volume.samples(sample=False) | {"labels.npy": np.stack([LABELS] * 3, axis=1)})
    for name in ("keras.fp32", "onnx.fp32"):
        volume.publish(f"predictions.{name}", {"output_0.npy": answers(10)})
    with pytest.raises(CrossquantError, match=r"^labels of \(100, 3\): a sample must have one class"):
        compare.compare(evaluate(volume), volume.experiment)


@pytest.mark.parametrize(
    ("about", "problem"),
    [
        ({"evaluated_output": -1}, "outputs are [-1]"),
        ({"further_outputs": [{"output": 0, "name": "", "task": "regression"}]}, "outputs are [0, 0]"),
        ({"task": "detection"}, "detection: must be there for the task detection alone"),
        ({"detection": {}}, "detection: must be there for the task detection alone"),
        (
            {"task": "detection", "detection": {"boxes": -5}},
            "detection.boxes and detection.scores are numbers of outputs",
        ),
        ({"task": "detection", "detection": {"variances": [0.1, 0.1]}}, "detection.variances must be four numbers"),
        ({"task": "detection", "detection": {"decoder": "ssd"}}, "the decoder ssd needs anchors"),
        ({"class_weights": [1.0, -1.0]}, "class_weights: must be finite numbers, 0 or more"),
        ({"class_weights": [0.0, 0.0]}, "class_weights: must be finite numbers, 0 or more"),
        ({"task": "regression", "class_weights": [1.0]}, "class_weights: are of a classification"),
    ],
)
def test_what_describes_the_samples_makes_sense(tmp_path, about, problem):
    (tmp_path / "about.json").write_text(json.dumps(about))
    with pytest.raises(stage_outputs.Unusable) as caught:
        stage_outputs.read_content(tmp_path / "about.json")
    assert str(caught.value).startswith(f"about.json: {problem}")
