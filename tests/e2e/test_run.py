"""The main job, for real, through both engines: what it makes and what it says."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import LOSING, Driver, Edit, Finish, Finished

from driver.inputs.embedded_sample import load as load_sample

FLOAT = ["keras.fp32", "onnx.fp32", "torch.fp32"]
ONNX = ["onnx.int8", "onnx.uint8", "onnx.u8s8", "onnx.u8s8-percentile", "onnx.u8s8-reduced"]
TORCH = ["torch.int8", "torch.x86", "torch.onednn"]
QUANTIZED = [*ONNX, *TORCH]
LOST, KEPT = ([name for name in QUANTIZED if (name in LOSING) is lost] for lost in (True, False))
ALL = [*FLOAT, *ONNX, *TORCH[:2], "torch.uint8", TORCH[2]]


def image_of(variant: str) -> str:
    return variant.partition(".")[0]


def test_it_succeeds_and_every_gate_holds(finished: Finished) -> None:
    assert finished.done.exit_code == 0, finished.done.stdout + finished.done.stderr
    comparison = finished.driver.comparison()
    assert len(comparison["gates"]) == 22 - len(LOSING), "one in the place of two where products saturate"
    assert all(gate["holds"] for gate in comparison["gates"])
    assert {gate["variant"] for gate in comparison["not_held"]} == LOSING
    assert finished.done.stdout.splitlines()[-2] == f"All {22 - len(LOSING)} gates hold."
    line = f"Not held to gates.quantized on this CPU (AVX2, no VNNI), but to gates.saturating: {', '.join(LOST)}."
    assert (line in " ".join(finished.done.stdout.split())) is bool(LOSING)


def test_every_row_is_there_in_the_pipeline_s_order(finished: Finished) -> None:
    assert list(finished.driver.rows()) == ALL
    lines = [line.split()[0] for line in finished.done.stdout.splitlines() if line.split()[:1]]
    assert [word for word in lines if word in ALL][-len(ALL) :] == ALL


def test_the_sample_is_named_on_terminal_and_page(finished: Finished) -> None:
    note = "Embedded sample: 2,000 test images instead of 10,000."
    assert note in finished.done.stdout
    page = finished.driver.volumes / "resnet8-cifar10" / "comparison" / "comparison.md"
    assert note in page.read_text().splitlines()[2]
    dataset = finished.driver.comparison()["dataset"]
    assert (dataset["name"], dataset["test_images"], dataset["sample"]) == ("cifar10", 2000, True)


@pytest.mark.parametrize("variant", FLOAT)
def test_float_variants_answer_as_keras_does(finished: Finished, variant: str) -> None:
    row = finished.driver.rows()[variant]
    assert row["status"] == "ok"
    assert row["accuracy"] > 0.85
    assert row["agreement"] == 1.0
    assert row["delta_pp"] == 0.0
    assert row["max_abs_diff"] < 1e-4


@pytest.mark.parametrize("variant", LOST)
def test_what_saturates_on_this_cpu_loses_and_its_row_says_why(finished: Finished, variant: str) -> None:
    rows = finished.driver.rows()
    row = rows[variant]
    assert (row["status"], row["saturated"]) == ("ok", True)
    assert 0.6 < row["accuracy"] < 0.85
    (why,) = [warning for warning in row["warnings"] if warning["kind"] == "saturating_products"]
    instead = rows[why["instead"]]
    assert instead["cpu_invariant"] and instead["image"] == row["image"] and instead["accuracy"] > 0.85
    start = f"{variant}: run on a CPU (AVX2, no VNNI) where products of uint8 and int8 can saturate: take "
    assert f"{start}{instead['name']}, which answers alike on every CPU" in finished.done.stdout
    assert finished.driver.comparison()["decision"]["variant"] not in LOST


@pytest.mark.parametrize("variant", KEPT)
def test_quantized_variants_keep_the_accuracy_in_a_third_of_the_size(finished: Finished, variant: str) -> None:
    rows = finished.driver.rows()
    row = rows[variant]
    assert row["status"] == "ok"
    assert row["accuracy"] > 0.85
    assert abs(row["delta_pp"]) < 2
    assert 0.9 < row["agreement"] < 1, "8-bit answers are never all those of the float model"
    assert row["size_bytes"] < rows["onnx.fp32"]["size_bytes"] / 2.5


@pytest.mark.parametrize("variant", QUANTIZED)
def test_every_computing_operator_is_quantized(finished: Finished, variant: str) -> None:
    about = json.loads((finished.driver.folder(variant, image_of(variant)) / "quantized.json").read_text())
    assert (about["quantized"], about["operators"]) == (10, 10)


def test_torch_uint8_is_unsupported_in_the_framework_s_own_words(finished: Finished) -> None:
    row = finished.driver.rows()["torch.uint8"]
    assert row["status"] == "unsupported"
    assert row["accuracy"] is None
    assert row["reason"] == (
        "PyTorch quantized 0 of 10 convolutions and linear layers, without an error; PyTorch's eager mode says: "
        "Weight observer must have a dtype of qint8, got torch.quint8"
    )
    assert finished.driver.manifest("torch.uint8", "torch")["status"] == "unsupported"


@pytest.mark.parametrize("variant", [*FLOAT, *QUANTIZED])
def test_latency_is_from_all_passes_and_its_samples_are_kept(finished: Finished, variant: str) -> None:
    row = finished.driver.rows()[variant]
    assert row["latency_ms"]["samples"] % (5 * 20) == 0 and row["latency_ms"]["samples"] >= 5 * 5 * 20
    assert 0 < row["latency_ms"]["p50"] <= row["latency_ms"]["p90"] <= row["latency_ms"]["p99"]
    assert row["images_per_second"] > 0
    for turn in ("", ".2", ".3", ".4", ".5"):
        folder = finished.driver.folder(f"latency.{image_of(variant)}{turn}", image_of(variant))
        samples = json.loads((folder / "samples.json").read_text())["samples"]
        shapes = {
            (each["batch"], each["threads"]): np.shape(each["seconds"])
            for each in samples
            if each["variant"] == variant
        }
        assert shapes == {(1, 1): (5, 20), (1, 2): (5, 20), (64, 1): (5, 1), (64, 2): (5, 1)}


def test_the_images_are_timed_in_turn(finished: Finished) -> None:
    """Five times at least; more often where the machine is noisy, and in turn then too."""
    made = [name for name in finished.done.made() if name.startswith("latency.")]
    turns = [f".{number}" if number > 1 else "" for number in range(1, len(made) // 3 + 1)]
    assert len(turns) >= 5
    assert made == [f"latency.{image}{turn}" for turn in turns for image in ("keras", "onnx", "torch")]
    repeated = [item["repeat_of"] for item in finished.driver.comparison()["noise"]]
    assert repeated == ["keras.fp32", "onnx.fp32", "onnx.int8", "torch.fp32", "torch.int8"]
    assert not [line for line in finished.driver.comparison()["warnings"] if "one after the other" in line]


@pytest.mark.parametrize("variant", [*FLOAT, *QUANTIZED])
def test_a_cold_start_is_from_a_fresh_process(finished: Finished, variant: str) -> None:
    cold = finished.driver.rows()[variant]["cold"]
    assert 0 < cold["imported"] < cold["loaded"] < cold["answered"]
    assert cold["peak_bytes"] > 50e6


def test_conversion_steps_say_what_each_tool_lost(finished: Finished) -> None:
    steps = {(step["before"], step["after"]): step for step in finished.driver.comparison()["conversion_steps"]}
    assert len(steps) == 10
    export, convert = steps["keras.fp32", "onnx.fp32"], steps["onnx.fp32", "torch.fp32"]
    assert export["tools"][0].startswith("tf2onnx ") and convert["tools"][0].startswith("onnx2torch ")
    assert export["drift"]["changed"] == convert["drift"]["changed"] == 0
    assert min(step["drift"]["sqnr_db"] for step in (export, convert)) > 100
    assert 10 < steps["onnx.fp32", "onnx.int8"]["drift"]["sqnr_db"] < 30


def test_the_decision_names_a_variant_and_why_each_other_one_is_not_chosen(finished: Finished) -> None:
    decision = finished.driver.comparison()["decision"]
    shown = {"ship": "shown_good_enough", "keep_reference": "nothing_shown"}  # 2,000 images may be too few to show it
    assert decision["reasons"][0]["kind"] == shown[decision["outcome"]]
    assert set(decision["choices"]) == {"latency", "throughput", "size", "accuracy"}
    rejected = [rejection["variant"] for rejection in decision["rejections"]]
    assert sorted([*rejected, decision["variant"]]) == sorted(ALL)
    head = {"ship": "Ship", "keep_reference": "Keep"}[decision["outcome"]]
    assert f"{head} {decision['variant']}: " in finished.done.stdout
    everything = finished.driver("report", "--verbose").stdout
    assert all(f"- Not {name}: " in everything for name in rejected)


def test_the_files_of_the_comparison(finished: Finished) -> None:
    folder = finished.driver.volumes / "resnet8-cifar10" / "comparison"
    kinds = {f"comparison.{kind}" for kind in ("json", "md", "csv", "html")}
    assert {path.name for path in folder.iterdir()} == {*kinds, "changed.csv", "manifest.json"}
    assert len((folder / "comparison.md").read_text().splitlines()) < 100
    with (folder / "comparison.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == ALL
    with (folder / "changed.csv").open() as file:
        changed = [row for row in csv.DictReader(file) if row["variant"] == "onnx.int8"]
    assert len(changed) == finished.driver.rows()["onnx.int8"]["drift"]["changed"] > 0
    assert all(row["reference_answer"] != row["variant_answer"] for row in changed)


def test_gates_as_junit(finished: Finished, tmp_path: Path) -> None:
    assert finished.driver("report", "--junit", str(tmp_path / "gates.xml")).exit_code == 0
    suite = ElementTree.parse(tmp_path / "gates.xml").getroot()
    not_held = 2 * len(LOSING)
    counts = [int(suite.get(name, "")) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == [24 - len(LOSING) + not_held, 0, 0, 1 + not_held]


def test_two_runs_side_by_side(finish: Finish, tmp_path: Path) -> None:
    one = finish("venv").driver
    copy = tmp_path / "yesterday"
    shutil.copytree(one.volumes / "resnet8-cifar10", copy)
    done = one("diff", str(copy), "resnet8-cifar10")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1] == "the same versions"
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.split()[:1]}
    accuracy = f"{100 * one.rows()['onnx.int8']['accuracy']:.2f}"
    assert rows["onnx.int8"][1:7] == [accuracy, accuracy, "+0.00", "−0.18…+0.18", "1", "0"]


@pytest.mark.parametrize("variant", [*FLOAT, *QUANTIZED])
def test_every_answer_to_every_image_is_kept(finished: Finished, variant: str) -> None:
    path = finished.driver.folder(f"predictions.{variant}", image_of(variant)) / "output_0.npy"
    answers = np.load(path)
    assert answers.shape == (2000, 10)
    assert np.allclose(answers.sum(axis=1), 1, atol=0.02)
    labels = load_sample()["y_test"]
    assert finished.driver.rows()[variant]["accuracy"] == (answers.argmax(axis=1) == labels).mean()


def test_both_frameworks_quantize_with_the_same_calibration_images(finished: Finished) -> None:
    manifests = [finished.driver.manifest(variant, image_of(variant)) for variant in QUANTIZED]
    assert len({manifest["inputs"]["calibration"] for manifest in manifests}) == 1
    manifest = json.loads((finished.driver.folder("calibration", "keras") / "manifest.json").read_text())
    images = np.load(finished.driver.folder("calibration", "keras") / "input_0.npy")
    sample = load_sample()
    assert manifest["split"] == "train"
    assert manifest["indices"] == sample["train_indices"].tolist()
    assert images.dtype == np.uint8, "as the data set has them: the model's type is that of a batch"
    assert np.array_equal(images, sample["x_train"])


def test_onnx_runtime_and_pytorch_start_from_the_same_file(finished: Finished) -> None:
    names = [*QUANTIZED, "torch.fp32"]
    assert len({finished.driver.manifest(name, image_of(name))["inputs"]["onnx.fp32"] for name in names}) == 1


def test_manifests_say_what_made_them(finished: Finished) -> None:
    manifest = finished.driver.manifest("onnx.u8s8", "onnx")
    assert manifest["parameters"]["per_channel"] is True
    assert manifest["versions"]["onnxruntime"] == finished.driver.comparison()["versions"]["onnx"]["onnxruntime"]
    assert manifest["image_id"].startswith("sha256:") == (finished.driver.engine == "docker")


def test_nothing_half_written_stays(finished: Finished) -> None:
    assert finished.driver.leftovers() == []


def test_a_second_run_starts_nothing(finished: Finished) -> None:
    manifests = {path: path.stat().st_mtime_ns for path in finished.driver.volumes.rglob("artifact.json")}
    done = finished.driver.run()
    assert done.exit_code == 0
    assert done.made() == []
    assert {path: path.stat().st_mtime_ns for path in finished.driver.volumes.rglob("artifact.json")} == manifests


def test_list_shows_every_stage_and_that_it_is_fresh(finished: Finished) -> None:
    done = finished.driver("list")
    assert done.exit_code == 0
    rows = [re.split("  +", line) for line in done.stdout.splitlines()[2:] if not line.startswith(" ")]
    states = {name: state for name, _, _, state, *_ in rows}
    asked_for = [
        "trained",
        "selection",
        "selection.labels",
        "holdout",
        "check",
        *(name for name in states if name.startswith("compatibility.")),
    ]
    assert {states.pop(name) for name in asked_for} == {"absent"}
    assert states.pop("predictions.torch.uint8") == "not applicable"
    default_states = {name: state for name, state in states.items() if not name.startswith(("explain.", "emulation."))}
    assert set(default_states.values()) == {"fresh"}
    assert set(ALL) <= set(default_states)


def test_report_makes_the_same_comparison_again(finished: Finished) -> None:
    before = finished.driver.comparison()
    done = finished.driver("report")
    assert done.exit_code == 0
    assert finished.driver.comparison() == before


def test_a_gate_that_fails_is_named_and_exits_with_1(finished: Finished, experiment: Callable[[Edit], str]) -> None:
    strict = experiment(lambda content: content["gates"]["quantized"].update(accuracy={"min": 0.999}))
    done = finished.driver("report", "--experiment", strict)
    assert done.exit_code == 1
    assert re.search(
        r"^- gate fails: onnx\.\S+ has accuracy 8\d\.\d+ %, must be at least 99\.9 %$", done.stdout, re.MULTILINE
    )
    assert re.search(r"^\d+ of \d+ gates fail\.$", done.stdout, re.MULTILINE)


def test_a_run_is_held_to_an_earlier_one(finished: Finished, tmp_path: Path) -> None:
    """The same run holds; the comparison on the volume says what it was held to, and nothing the next time."""
    shutil.copytree(finished.driver.volumes / "resnet8-cifar10", tmp_path / "earlier")
    baseline = ("--baseline", str(tmp_path / "earlier"), "--fail-on")
    done = finished.driver("report", *baseline, "p50_ms=1%", "--fail-on", "drop_pp=0.1")
    assert done.exit_code == 0, done.stdout + done.stderr
    checked = finished.driver.comparison()["baseline"]
    assert checked["limits"] == ["p50_ms=1%", "drop_pp=0.1"]
    assert {gate["metric"] for gate in checked["gates"]} == {"p50_ms", "drop_pp"}
    assert finished.driver("report").exit_code == 0
    assert finished.driver.comparison()["baseline"] is None
    wrong = finished.driver("report", "--baseline", "resnet8-cifar10", "--fail-on", "drop_pp=1")
    assert wrong.exit_code == 2
    assert "is the folder of this run itself" in wrong.stderr


SAME = ("calibration", "exported", "onnx.fp32", "onnx.int8", "onnx.uint8", "onnx.u8s8")


@pytest.fixture(scope="module")
def beside_docker(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """What the other engine makes of these."""
    driver = Driver(tmp_path_factory.mktemp("beside") / "volumes", "venv")
    done = driver.run(*SAME)
    assert done.exit_code == 0, done.stdout + done.stderr
    return driver


@pytest.mark.docker
@pytest.mark.parametrize("artifact", SAME)
def test_both_engines_make_the_same_bytes(finish: Finish, beside_docker: Driver, artifact: str) -> None:
    image = "onnx" if artifact.startswith("onnx") else "keras"
    assert (
        beside_docker.manifest(artifact, image)["files"] == finish("docker").driver.manifest(artifact, image)["files"]
    )


def test_one_stage_alone_is_made_with_all_it_needs(driver: Driver) -> None:
    done = driver.run("predictions.onnx.uint8")
    assert done.exit_code == 0
    needed = ["dataset", "calibration", "keras.fp32", "exported", "onnx.fp32", "onnx.uint8", "predictions.onnx.uint8"]
    assert done.made() == needed
    assert done.stdout.splitlines()[-1].startswith("predictions.onnx.uint8: ")
    assert not driver.folder("torch.fp32", "torch").exists()


def test_a_changed_recipe_reruns_its_subtree_alone(driver: Driver, experiment: Callable[[Edit], str]) -> None:
    assert driver.run("predictions.onnx.u8s8", "predictions.onnx.uint8").exit_code == 0
    changed = experiment(lambda content: content["recipes"]["onnx"]["u8s8"].update(per_channel=False))
    done = driver.run("predictions.onnx.u8s8", "predictions.onnx.uint8", "--experiment", changed)
    assert done.made() == ["onnx.u8s8", "predictions.onnx.u8s8"]


def test_force_makes_it_again(driver: Driver) -> None:
    assert driver.run("dataset").made() == ["dataset"]
    assert driver.run("dataset").made() == []
    assert driver.run("dataset", "--force").made() == ["dataset"]


def test_the_unfolded_graph_is_what_tf2onnx_left(driver: Driver) -> None:
    done = driver.run("onnx.fp32", "--experiment", "unfolded")
    assert done.exit_code == 0
    exported = driver.manifest("exported", "keras", "unfolded")["files"]["model.onnx"]
    assert driver.manifest("onnx.fp32", "onnx", "unfolded")["files"]["model.onnx"] == exported


def test_files_belong_to_the_caller(finished: Finished) -> None:
    owner = finished.driver.volumes.stat().st_uid
    assert {path.stat().st_uid for path in finished.driver.volumes.rglob("*")} == {owner}


def test_doctor_shows_what_this_host_has(tmp_path: Path) -> None:
    done = Driver(tmp_path)("doctor")
    assert done.exit_code == 0
    checks = {line[6:22].strip() for line in done.stdout.splitlines() if line.startswith(("has", "lacks"))}
    assert {"Docker", "Compose", "torch wheel", "npm", "disk", "int8"} <= checks
