"""What a command prints for a person, for a program, and where little or much is wanted."""

import json
from dataclasses import asdict
from io import StringIO

import pytest
from evidence_makers import Volume, default_experiment
from rich.text import Text

from driver.cli import check_data, console, workflow
from driver.cli.main import main
from driver.engines.docker import format_command
from driver.experiment import loader
from shared.data import data_report
from shared.data.data_report import ClassCount, DataReport
from shared.data.preprocessing_variants import PreprocessingVariants
from shared.runner.progress import Event


@pytest.mark.usefixtures("machine")
def test_a_program_gets_the_comparison_as_it_was_written(volumes, capsys):
    Volume(default_experiment()).whole()
    assert main(["report", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.out == (volumes / "resnet8-cifar10" / "comparison" / "comparison.json").read_text()
    assert captured.err == ""


@pytest.mark.usefixtures("volumes", "machine")
def test_a_program_gets_the_stages_as_a_list(capsys):
    volume = Volume(default_experiment()).whole()
    assert main(["list", "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)
    shown = [step.output for step in volume.plan.steps if step.default or step.turn == 1]
    assert [step["artifact"] for step in steps] == shown
    (quantized,) = [step for step in steps if step["artifact"] == "onnx.int8"]
    assert (quantized["image"], quantized["state"], quantized["inputs"][0]) == ("onnx", "fresh", "onnx.fp32")


EXAMINED = DataReport(
    name="my data",
    task="classification",
    ranges=(),
    classes=(ClassCount("\x1b[2J", 9, 1),),
    repeated_train=0,
    repeated_test=0,
    leaking=0,
    leaks=(),
    preprocessing=PreprocessingVariants(skipped="no input is a picture"),
    wrong=("a sample calibrates and judges",),
)


@pytest.mark.usefixtures("volumes", "machine")
def test_a_program_gets_what_is_wrong_with_the_data_and_the_same_exit_code(capsys, monkeypatch):
    volume = Volume(default_experiment()).whole()
    volume.publish("check", {data_report.FILE: asdict(EXAMINED)})
    monkeypatch.setattr(check_data, "make_artifacts", lambda *_, **__: workflow.Made(volume.freshness, False, True))
    assert main(["check-data", "--json"]) == 1
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert (answer["wrong"], captured.err) == (["a sample calibrates and judges"], "")
    assert "\x1b" not in answer["classes"][0]["name"], "what a terminal would obey"


def test_a_container_as_a_person_would_start_it():
    options = {
        "user": "1000:100",
        "read_only": True,
        "tmpfs": {"/tmp": "exec"},
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "cpuset_cpus": "0,1",
        "mem_limit": 4 << 30,
        "environment": {"EXPERIMENT": "a b"},
    }
    assert format_command("crossquant-onnx", ["onnx.int8", "--force"], options) == (
        "docker run --rm --user 1000:100 --network none --read-only --cap-drop=ALL "
        "--security-opt=no-new-privileges:true --tmpfs=/tmp:exec --cpuset-cpus=0,1 --memory=4294967296 "
        "'--env=EXPERIMENT=a b' crossquant-onnx onnx.int8 --force"
    )


@pytest.fixture
def say(volumes, capsys, monkeypatch):  # noqa: ARG001 - an empty volume
    """(stdout, stderr) of `run dataset` with more options, in which a stage ends well, and one fails."""

    def execute(_freshness, _steps, _engine, terminal, _force):
        terminal.event(Event("end", "labels", status="ok", seconds=1.0))
        terminal.event(Event("end", "dataset", status="failed", reason="no memory", seconds=1.0))
        return True

    monkeypatch.setattr(workflow.execute, "run", execute)

    def call(*more):
        assert main(["run", "--sample", "dataset", *more]) == 3
        return tuple(capsys.readouterr())

    return call


def test_progress_is_beside_the_answer_where_a_person_reads(say):
    out, err = say()
    assert [line.split()[:2] for line in out.splitlines()] == [["labels", "ok"], ["[1/1]", "dataset"]]
    assert err == ""


def test_progress_is_on_stderr_where_a_program_reads(say):
    out, err = say("--json")
    assert json.loads(out) == {}
    assert [line.split()[:2] for line in err.splitlines()] == [["labels", "ok"], ["[1/1]", "dataset"]]


def test_quiet_leaves_failures(say):
    out, err = say("--quiet")
    assert out == ""
    assert err.split() == ["[1/1]", "dataset", "failed", "1.0", "s", "no", "memory"]


def test_verbose_says_more_and_only_then(say, volumes):
    plan = f"plan: {volumes}/resnet8-cifar10/plan.json; own model and data: "
    assert plan in say("--verbose")[0]
    assert plan not in say()[0]


@pytest.mark.usefixtures("volumes")
def test_a_key_that_has_a_new_name_is_reported_on_stderr(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    text = (loader.FOLDER / "unfolded.yaml").read_text()
    assert "fold_batchnorm:" in text
    path.write_text(text.replace("fold_batchnorm:", "fold:"))
    assert main(["list", "--experiment", str(path)]) == 0
    captured = capsys.readouterr()
    assert "is now called `fold_batchnorm`" in captured.err
    assert "is now called" not in captured.out


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("1", False)])
def test_no_color_is_honoured(monkeypatch, variable, coloured):
    monkeypatch.setenv("NO_COLOR", variable)
    file = StringIO()
    console.SafeConsole(file=file, force_terminal=True, color_system="standard").print(Text("failed", "red"))
    assert ("\x1b[31m" in file.getvalue()) is coloured
    assert "failed" in file.getvalue()


def test_a_report_after_a_target_on_the_sample_tells_to_go_on_with_the_sample(volumes, capsys):
    assert main(["fetch", "--sample"]) == 0
    capsys.readouterr()
    assert main(["report"]) == 3
    out = capsys.readouterr().out
    assert "run `./crossquant run --sample keras.fp32`" in out
    assert "run `./crossquant run keras.fp32`" not in out
    written = json.loads((volumes / "resnet8-cifar10" / "plan.json").read_text())
    assert written["locations"]["input.dataset"] == "inputs/cifar10-sample"
