"""A model that attacks, in real containers: it harms nothing that is finished, and its row says what it is worth."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import Done, Driver

from driver.cli import main as command_line
from driver.engines import docker
from driver.engines.venv import ensure_environment
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.artifacts.store import ROOT
from shared.contract import Plan, read
from shared.runner import sandbox

pytestmark = pytest.mark.docker
NO_LANDLOCK = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {
            "names": ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"],
            "action": "SCMP_ACT_ERRNO",
        }
    ],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    subprocess.run(
        [ensure_environment("keras"), "tests/e2e/hostile_files.py", folder], cwd=ROOT, check=True, capture_output=True
    )
    return folder


def new(driver: Driver, files: Path, code: str = "spy.py") -> None:
    own = ("--code", str(files / code), "--name", "hostile", "--set", "unit=rows", "--no-check")
    creation = driver("new", "--model", str(files / "hostile.keras"), "--data", str(files / "data.npz"), *own)
    assert creation.exit_code == 0, creation.stderr


def read_attack_outcomes(driver: Driver) -> dict[str, set[str]]:
    """What became of each attack, over all stages that had one."""
    outcomes: dict[str, set[str]] = {}
    for log in (driver.volumes / "hostile" / "keras" / "logs").glob("*.log"):
        for name, outcome in re.findall(r"^TRIED (.+) -> (.+)$", log.read_text(), re.MULTILINE):
            outcomes.setdefault(name, set()).add(outcome)
        for planted in re.findall(r"^PLANTED (.+)$", log.read_text(), re.MULTILINE):
            outcomes.setdefault("planted", set()).add(planted)
    return outcomes


def freshness(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Freshness:
    monkeypatch.setenv("CROSSQUANT_VOLUMES", str(driver.volumes))
    return Freshness(read(Plan, store.plan_path("hostile")))


def check_row(driver: Driver) -> None:
    """It guesses, and the row says so."""
    row = driver.rows("hostile")["keras.fp32"]
    assert row["status"] == "failed"
    assert "answers no better than chance" in row["reason"]
    assert "FORGED" not in json.dumps(driver.comparison("hostile"))


@pytest.mark.skipif(not sandbox.available(), reason="this kernel has no Landlock of version 6")
def test_a_hostile_model_harms_nothing(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(tmp_path / "volumes", "docker")
    new(driver, files)
    done: Done = driver("run", "--experiment", "hostile")
    assert "Traceback" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout, "a layer's name is no command to the terminal"
    assert "FORGED" not in done.stdout
    outcomes = read_attack_outcomes(driver)
    assert outcomes.pop("planted") == {"[]"}
    assert outcomes.pop("read the labels") <= {"nothing", "refused"}
    assert outcomes.pop("end all") <= {"refused", "DONE None"}, "all that it may signal is itself"
    assert len(outcomes) == 15
    assert {name: results for name, results in outcomes.items() if results != {"refused"}} == {}
    check_row(driver)
    on_disk = freshness(driver, monkeypatch)
    left = {
        step.output
        for step in on_disk.plan.steps
        if step.default and on_disk.state(step) not in ("fresh", "not applicable")
    }
    # A process that such a stage starts loads the model too, and may end the stage: its kin, and nobody else's.
    assert all(name.startswith(("startup.keras", "latency.keras")) for name in left), left


NAMED = """
import sys
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
name = 'relu" if print("RAN", getattr(__import__("os"), "getpid")(), flush=True) else "relu'
weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
nodes = [
    helper.make_node("Gemm", ["x", "w"], ["a"], name="first"),
    helper.make_node("Relu", ["a"], ["b"], name="relu"),
    helper.make_node("Relu", ["b"], ["c"], name=name),
    helper.make_node("Gemm", ["c", "w"], ["y"], name="last"),
]
ends = [[helper.make_tensor_value_info(end, TensorProto.FLOAT, ["n", 4])] for end in "xy"]
graph = helper.make_graph(nodes, "named", *ends, [weight])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1])
"""


@pytest.mark.parametrize("command", ["run", "inspect"])
def test_the_name_of_a_node_is_no_code(command: str, files: Path, tmp_path: Path) -> None:
    """PyTorch writes the names of modules into Python source. The model is sound, and needs no --trust."""
    path = tmp_path / "named.onnx"
    subprocess.run([ensure_environment("onnx"), "-c", NAMED, path], cwd=ROOT, check=True, capture_output=True)
    driver = Driver(tmp_path / "volumes", "docker")
    if command == "run":
        arrays = np.load(files / "data.npz")
        np.savez(tmp_path / "data.npz", **{name: arrays[name][:, :4] for name in ("x_train", "x_test")})
        creation = driver("new", "--no-check", "--model", str(path), "--data", str(tmp_path / "data.npz"))
        assert creation.exit_code == 0, creation.stdout + creation.stderr
        done = driver("run", "--experiment", "named", "predictions.torch.fp32", "torch.int8", "explain.torch.int8")
    else:
        done = driver("inspect", str(path))
    assert done.exit_code == 0, done.stdout + done.stderr
    logs = [log.read_text() for log in driver.volumes.rglob("*.log")]
    assert logs and not [log for log in logs if "RAN" in log]


@pytest.fixture
def no_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers of the driver in this process can't confine a stage: Docker refuses the system calls."""
    settings = docker.settings

    def without_landlock(*arguments: object) -> dict[str, object]:
        options = settings(*arguments)  # type: ignore[arg-type]
        return options | {"security_opt": [*options["security_opt"], f"seccomp={json.dumps(NO_LANDLOCK)}"]}

    monkeypatch.setattr(docker, "settings", without_landlock)


def without_signals(files: Path) -> str:
    """The name of the code with attacks on files alone: a signal would end its own runner."""
    lines = (files / "spy.py").read_text().splitlines(keepends=True)
    (files / "files.py").write_text("".join(line for line in lines if not line.lstrip().startswith('"end ')))
    return "files.py"


RUN = ["run", "--experiment", "hostile", "predictions.keras.fp32", "onnx.fp32"]
EARLIER = ("data", "dataset")


@pytest.mark.usefixtures("no_landlock")
def test_without_landlock_each_stage_of_a_foreign_model_is_alone(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Slower, and as safe: a stage sees its inputs, which it can't write, and a folder of its own."""
    driver = Driver(tmp_path / "volumes", "docker")
    new(driver, files, without_signals(files))
    on_disk = freshness(driver, monkeypatch)
    assert command_line.main(RUN) == 0, capsys.readouterr()
    assert capsys.readouterr().out.count("each stage gets a container") == 1
    on_disk.forget()
    for name in (*EARLIER, "keras.fp32", "predictions.keras.fp32", "exported", "onnx.fp32"):
        assert on_disk.state(on_disk.steps[name]) == "fresh", name
    outcomes = read_attack_outcomes(driver)
    assert outcomes["read the labels"] <= {"nothing", "refused"}
    for name in ("rewrite the data set", "rewrite the plan", "add to what is finished"):
        assert outcomes[name] == {"refused"}, "there is nothing, or it is read-only"
    assert not list((driver.volumes / "hostile" / ".isolated").iterdir())
    assert command_line.main(RUN) == 0
    assert " ok " not in capsys.readouterr().out, "nothing is left to do"


@pytest.mark.usefixtures("no_landlock")
def test_without_landlock_a_stage_that_ends_its_runner_ends_itself_alone(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    driver = Driver(tmp_path / "volumes", "docker")
    new(driver, files)
    on_disk = freshness(driver, monkeypatch)
    assert command_line.main(RUN) == 3
    output = capsys.readouterr()
    assert re.search(
        r"^\[ *\d+/\d+\] keras\.fp32 +failed .*the container of image 'keras' was killed", output.out, re.MULTILINE
    )
    assert output.err == ""
    on_disk.forget()
    assert {on_disk.state(on_disk.steps[name]) for name in EARLIER} == {"fresh"}
    assert on_disk.state(on_disk.steps["keras.fp32"]) == "absent"
