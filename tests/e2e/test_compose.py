"""`docker compose up`: the same job with nothing on the host but Docker and Compose."""

import os
from collections.abc import Iterator

import pytest
import yaml
from composing import Compose
from conftest import DEFAULT, LOSING, Done, experiment_for_this_cpu

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    compose = Compose(tmp_path_factory.mktemp("compose"))
    yield compose
    compose("down")


@pytest.fixture(scope="module")
def up(compose: Compose) -> Done:
    return compose("up", "--no-color", "--no-log-prefix", "--abort-on-container-failure")


def test_up_makes_the_whole_comparison(compose: Compose, up: Done) -> None:
    assert up.exit_code == 0, up.stdout + up.stderr
    rows = compose.driver.rows()
    assert len(rows) == 12
    assert [name for name, row in rows.items() if row["status"] != "ok"] == ["torch.uint8"]
    assert all(gate["holds"] for gate in compose.driver.comparison()["gates"])
    assert {gate["variant"] for gate in compose.driver.comparison()["not_held"]} == LOSING
    assert f"All {22 - len(LOSING)} gates hold." in up.stdout


def test_up_shows_a_line_for_each_artifact(up: Done) -> None:
    lines = [line.split()[:2] for line in up.stdout.splitlines() if line.split()]
    assert ["dataset", "ok"] in lines
    assert ["predictions.onnx.u8s8", "ok"] in lines
    assert ["torch.uint8", "unsupported"] in lines


def test_up_starts_image_after_image(up: Done) -> None:
    stages = [line.split()[0] for line in up.stdout.splitlines() if " s" in line and line.split()[1:2] == ["ok"]]
    order = [
        stages.index(name) for name in ("latency.keras", "onnx.fp32", "latency.onnx", "torch.fp32", "latency.torch")
    ]
    assert order == sorted(order)


def test_the_driver_finds_nothing_left_to_do(compose: Compose, up: Done) -> None:
    assert up.exit_code == 0
    done = compose.driver.run()
    assert done.exit_code == 0
    assert done.made() == []


def test_a_damaged_comparison_is_made_anew_by_its_service(compose: Compose, up: Done) -> None:
    assert up.exit_code == 0
    folder = compose.driver.volumes / "resnet8-cifar10" / "comparison"
    compare = ("run", "--rm", "--no-deps", "compare")
    first = compose(*compare)
    assert first.exit_code == 0, first.stderr
    for name in ("comparison.json", "comparison.md", "manifest.json"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        done = compose(*compare)
        assert done.exit_code == 0, done.stderr
        assert f"the comparison was damaged: made anew ({name} " in done.stdout
        assert (folder / name).read_bytes() == whole
    assert sorted(path.name for path in folder.parent.glob(".comparison*")) == [".comparison.lock"]


def test_the_service_of_the_comparison_can_write_to_no_evidence(compose: Compose, up: Done) -> None:
    assert up.exit_code == 0
    code = (
        "import pathlib\n"
        "for path in ('', 'comparison', 'keras', 'onnx', 'torch', '../inputs', '..'):\n"
        "    file = pathlib.Path('/app/volumes/resnet8-cifar10', path, 'written')\n"
        "    try: file.touch(), file.unlink(), print(path or '.', 'writable')\n"
        "    except OSError: print(path, 'refused')\n"
    )
    done = compose("run", "--rm", "--no-deps", "--entrypoint", "python", "compare", "-c", code)
    assert done.stdout.split("\n")[:-1] == [
        *(". writable", "comparison writable", "keras refused", "onnx refused", "torch refused"),
        *("../inputs refused", ".. refused"),
    ], done.stderr


def test_files_belong_to_the_user_that_compose_is_given(compose: Compose, up: Done) -> None:
    assert up.exit_code == 0
    paths = (compose.driver.volumes / "resnet8-cifar10").rglob("*")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in paths} == {(os.getuid(), os.getgid())}


def test_one_framework_s_stage_alone(compose: Compose, up: Done) -> None:
    assert up.exit_code == 0
    done = compose("run", "--rm", "onnx", "--force", "onnx.uint8", "predictions.onnx.uint8")
    assert done.exit_code == 0
    assert [line.split()[:2] for line in done.stdout.splitlines()][-2:] == [
        ["onnx.uint8", "ok"],
        ["predictions.onnx.uint8", "ok"],
    ]


def test_a_failing_gate_is_the_exit_code_of_up(compose: Compose, up: Done) -> None:
    assert up.exit_code == 0
    content = experiment_for_this_cpu()
    content["name"], content["recipes"] = "strict", {}
    content["latency"] = {"passes": 1, "rounds": 1}
    content["gates"]["float"]["accuracy"]["min"] = 0.999
    (compose.driver.volumes / "inputs" / "strict.yaml").write_text(yaml.safe_dump(content))
    done = compose("up", "--no-log-prefix", "--abort-on-container-failure", EXPERIMENT="strict")
    assert done.exit_code == 1
    assert "gate fails: keras.fp32 has accuracy 88" in done.stdout


def test_a_stage_that_fails_still_ends_in_a_comparison(compose: Compose, up: Done) -> None:
    assert up.exit_code == 0
    content = yaml.safe_load(DEFAULT.read_text())
    content["name"], content["model"] = "broken", {"sources": [{"input": "broken.keras"}]}
    (compose.driver.volumes / "inputs" / "broken.yaml").write_text(yaml.safe_dump(content))
    (compose.driver.volumes / "inputs" / "broken.keras").write_text("no model")
    done = compose("up", "--no-log-prefix", "--abort-on-container-failure", EXPERIMENT="broken")
    assert done.exit_code == 3
    rows = compose.driver.rows("broken")
    assert rows["keras.fp32"]["status"] == "failed"
    assert "can't load broken.keras" in rows["keras.fp32"]["reason"]
    assert rows["torch.int8"]["status"] == "skipped"


def test_an_experiment_that_is_not_there_stops_at_once(compose: Compose) -> None:
    done = compose("up", "--no-log-prefix", "--abort-on-container-failure", EXPERIMENT="missing")
    assert done.exit_code == 1, "Compose's own code for a service that others wait for; it says which code that had"
    assert "exit 2" in done.stderr
    assert "error: no experiment 'missing': give a YAML file, or one of " in done.stdout + done.stderr
