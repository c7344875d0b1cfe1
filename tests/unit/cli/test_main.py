"""The command line: what is wrong use, what it says in one line, and the exit code of each end."""

import errno
import os
import re
import signal
from importlib import import_module
from typing import get_args, get_type_hints

import pytest
from evidence_makers import ORDER, Volume, default_experiment
from rich.console import Console

import driver
from driver.cli import arguments as cli_arguments
from driver.cli import console, workflow
from driver.cli import main as command_line
from driver.cli import report as report_command
from driver.host import facts
from driver.plan import schedule
from shared.data.task_names import Task
from shared.errors import CrossquantError, StageError

COMMANDS = {
    "look": ["doctor", "inspect", "check-data"],
    "run": ["build", "new", "fetch", "run", "list"],
    "understand": ["report", "explain", "diff"],
}


@pytest.fixture(autouse=True)
def termination():
    """`main` sets a handler for SIGTERM; it is not to outlive the test."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def ends(monkeypatch):
    """Make `report` end by raising the error, or with the exit code, that it is given."""

    def set_end(end):
        def report(_):
            if isinstance(end, BaseException):
                raise end
            return end

        monkeypatch.setattr(report_command, "run", report)

    return set_end


def run(capsys, *arguments):
    """(exit code, stderr)"""
    code = command_line.main(arguments)
    return code, capsys.readouterr().err


def test_help_groups_the_commands_by_what_a_user_wants():
    groups = {}
    for line in command_line.make_parser().format_help().splitlines():
        if line.endswith(":"):
            groups[line[:-1]] = names = []
        elif line.startswith("  ") and not line.startswith("  -"):
            names.append(line.split()[0])
    assert {group: names for group, names in groups.items() if group in COMMANDS} == COMMANDS


def test_each_command_takes_the_arguments_that_the_parser_makes():
    for command in command_line.COMMANDS.values():
        run = import_module(f"driver.cli.{command.module}").run
        assert get_type_hints(run) == {"arguments": command.kind, "return": int}, command.name


def test_what_is_written_twice_so_that_help_need_not_import_it():
    assert get_args(Task) == cli_arguments.TASKS


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("./crossquant", "./crossquant"),
        ("crossquant", "crossquant"),
        ("../x/crossquant", "../x/crossquant"),
        ("/x/driver/__main__.py", "python -m driver"),
        ("/x/pytest/__main__.py", "./crossquant"),
    ],
)
def test_the_name_in_the_help_is_what_was_typed(monkeypatch, typed, name):
    monkeypatch.setattr(command_line.sys, "argv", [typed])
    assert command_line.make_parser().format_help().startswith(f"usage: {name} ")


def test_no_command_is_wrong_use_and_prints_the_help(capsys):
    """Not 0, as with Docker: 0 says that all gates hold."""
    assert run(capsys) == (2, command_line.make_parser().format_help())


def test_the_version(capsys):
    with pytest.raises(SystemExit) as caught:
        command_line.main(["--version"])
    assert (caught.value.code, capsys.readouterr().out) == (0, f"crossquant {driver.__version__}\n")


@pytest.mark.parametrize("words", [["--quiet", "run"], ["run", "--quiet"], ["run", "-q"]])
def test_quiet_stands_before_the_command_or_after_it(words):
    namespace = command_line.make_parser().parse_args(words)
    assert cli_arguments.read_arguments(cli_arguments.Run, namespace).display == cli_arguments.Display(quiet=True)


@pytest.mark.parametrize(
    "arguments", [["run", "-q", "-v"], ["quantise"], ["run", "--engine", "podman"], ["list", "--sample"]]
)
def test_what_argparse_refuses_is_wrong_use(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        command_line.main(arguments)
    assert caught.value.code == 2
    assert "usage: ./crossquant" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "list", "report", "fetch"])
def test_an_unknown_experiment(volumes, capsys, command):
    code, error_text = run(capsys, command, "--experiment", "resnet9")
    assert code == 2
    ours = "mlperf-tiny, resnet8-cifar10, unfolded"
    assert error_text == f"error: no experiment 'resnet9': give a YAML file, or one of {ours}\n"
    assert list(volumes.iterdir()) == []


@pytest.mark.parametrize("more", [["onnx.int8"], ["--sample"], ["onnx.int8", "--sample"]])
def test_a_selection_takes_no_target_and_no_sample(volumes, capsys, more):
    wanted = "error: --select takes no TARGET and needs the full data set: leave out targets and --sample\n"
    assert run(capsys, "run", "--select", *more) == (2, wanted)
    assert list(volumes.iterdir()) == []


def test_a_selection_of_a_wrong_file_is_refused_before_anything_is_written(volumes, capsys, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ndrawz: 3\n")
    code, error_text = run(capsys, "run", "--select", "--experiment", str(path))
    assert code == 2
    assert error_text.startswith(f"error: {path}:2: drawz: unknown key; ")
    assert list(volumes.iterdir()) == []


@pytest.mark.parametrize("name", ["onnx.fp32", "int8", "onnx.int9"])
def test_what_can_not_be_explained_is_refused_in_one_line(volumes, capsys, name):
    code, error_text = run(capsys, "explain", name)
    assert code == 2
    assert error_text.startswith(f"error: '{name}' can't be explained: give a quantized variant, one of ")
    assert error_text.count("\n") == 1
    assert list(volumes.iterdir()) == []


def test_a_run_holds_the_lock_of_its_experiment_until_it_ends(volumes, capsys, monkeypatch):
    """A second one is refused while the first makes its artifacts, and no longer."""
    refused = []

    def second(*_):
        refused.append(run(capsys, "run", "--sample", "dataset"))
        return False

    monkeypatch.setattr(workflow.execute, "run", second)
    assert command_line.main(["run", "--sample", "dataset"]) == 0
    ((code, error_text),) = refused
    holder = rf"process {os.getpid()} on \S+ since \d\d:\d\d:\d\d"
    folder = re.escape(str(volumes / "resnet8-cifar10"))
    assert code == 2
    assert re.fullmatch(rf"error: {folder} is in use by {holder}: wait for it, or stop it\n", error_text)
    with workflow.execute.lock("resnet8-cifar10"):
        pass


@pytest.mark.usefixtures("volumes")
def test_an_unknown_target(capsys):
    code, error_text = run(capsys, "run", "--sample", "onnx.int9")
    assert code == 2
    assert error_text.startswith("error: unknown artifact 'onnx.int9': did you mean onnx.int8, ")
    assert error_text.endswith("? (`./crossquant list` shows all)\n")


def test_an_experiment_where_an_artifact_is_expected(volumes, capsys):
    code, error_text = run(capsys, "run", "unfolded")
    assert code == 2
    hint = "`./crossquant run --experiment unfolded`"
    assert error_text == f"error: 'unfolded' is an experiment, no artifact: {hint}\n"
    assert not list(volumes.iterdir()), "nothing was fetched or written"


def test_a_report_of_nothing_says_what_to_do_first(volumes, capsys):
    code, error_text = run(capsys, "report")
    assert code == 2
    path = volumes / "resnet8-cifar10" / "plan.json"
    assert error_text == f"error: {path} is missing: run `./crossquant fetch` first\n"


def test_an_error_is_one_line_whatever_is_in_it(capsys, ends):
    ends(CrossquantError("[red]a path[/red] " + "and more " * 20 + "{of} it"))
    code, error_text = run(capsys, "report")
    assert code == 2
    assert error_text == "error: [red]a path[/red] " + "and more " * 20 + "{of} it\n"


@pytest.mark.parametrize(
    ("end", "code", "error_text"),
    [
        (0, 0, ""),
        (1, 1, ""),
        (3, 3, ""),
        (StageError("killed"), 3, "error: killed\n"),
        (KeyboardInterrupt(), 130, "stopped: finished artifacts are kept, run again to go on\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/v/a"),
            3,
            "error: the disk is full: free some space and run again; what is finished is kept\n",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/v/a"),
            3,
            "error: /v/a: Permission denied: fix that and run again\n",
        ),
    ],
)
def test_how_a_command_ends(capsys, ends, end, code, error_text):
    ends(end)
    assert run(capsys, "report") == (code, error_text)


def test_a_mistake_of_our_own_is_not_hidden(ends):
    ends(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        command_line.main(["report"])


def test_termination_is_an_interruption(capsys, monkeypatch):
    monkeypatch.setattr(report_command, "run", lambda _: signal.raise_signal(signal.SIGTERM))
    code, error_text = run(capsys, "report")
    assert (code, error_text) == (130, "stopped: finished artifacts are kept, run again to go on\n")


def test_the_defaults_of_run():
    namespace = command_line.make_parser().parse_args(["run"])
    defaults = cli_arguments.Run(cli_arguments.Display(), cli_arguments.EngineOptions(), "resnet8-cifar10")
    assert cli_arguments.read_arguments(cli_arguments.Run, namespace) == defaults


def test_all_options_of_run():
    words = "run a b --engine venv --no-sandbox --with litert --with openvino --trust --force --sample --junit f"
    namespace = command_line.make_parser().parse_args(
        [*words.split(), "--json", "-v", "--select", "--experiment", "mine"]
    )
    assert cli_arguments.read_arguments(cli_arguments.Run, namespace) == cli_arguments.Run(
        cli_arguments.Display(verbose=True, json=True),
        cli_arguments.EngineOptions("venv", no_sandbox=True, images=("litert", "openvino"), trust=True, force=True),
        "mine",
        ("a", "b"),
        sample=True,
        select=True,
        junit="f",
    )


@pytest.mark.usefixtures("machine")
def test_a_report_compares_what_is_there(volumes, capsys):
    Volume(default_experiment()).whole()
    assert command_line.main(["report"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ORDER)
    assert out.endswith(f"written to {volumes}/resnet8-cifar10/comparison/\n")
    assert (volumes / "resnet8-cifar10" / "comparison" / "comparison.json").is_file()


@pytest.mark.usefixtures("volumes", "machine")
def test_a_list_has_every_step_and_its_state(capsys):
    volume = Volume(default_experiment()).whole()
    volume.remove("onnx.int8")
    assert command_line.main(["list"]) == 0
    lines = [re.split("  +", line) for line in capsys.readouterr().out.splitlines()[2:] if not line.startswith(" ")]
    states = {name: state for name, _, _, state, *_ in lines}
    shown = [step for step in volume.plan.steps if step.default or step.turn == 1]
    assert len(shown) < len(volume.plan.steps), "further passes of the timings are shown once they are made"
    assert list(states) == [step.output for step in shown]
    assert (states["onnx.int8"], states["predictions.onnx.int8"], states["latency.onnx"]) == (
        "absent",
        "stale",
        "stale",
    )
    assert (states["trained"], states["onnx.uint8"], states["predictions.torch.uint8"]) == (
        "absent",
        "fresh",
        "not applicable",
    )


def test_a_list_needs_no_fetch(volumes, capsys):
    assert command_line.main(["list"]) == 0
    assert "keras.fp32" in capsys.readouterr().out
    assert list(volumes.iterdir()) == []


@pytest.mark.usefixtures("volumes")
def test_what_a_failed_target_does_to_the_exit_code(monkeypatch):
    for failed, code in ((True, 3), (False, 0)):
        monkeypatch.setattr(workflow.execute, "run", lambda *_, answer=failed: answer)
        assert command_line.main(["run", "--sample", "dataset"]) == code


@pytest.mark.usefixtures("volumes", "machine")
def test_a_run_without_targets_ends_with_the_comparison(capsys, monkeypatch):
    monkeypatch.setattr(workflow.execute, "run", lambda *_: False)
    assert command_line.main(["run", "--sample"]) == 3
    assert "keras.fp32 skipped: keras.fp32: missing or out of date" in capsys.readouterr().out


def test_fetch_leaves_inputs_and_a_plan(volumes):
    assert command_line.main(["fetch", "--sample"]) == 0
    assert (volumes / "inputs" / "cifar10-sample" / "artifact.json").is_file()
    assert (volumes / "inputs" / "models" / "resnet8-cifar10" / "artifact.json").is_file()
    assert (volumes / "resnet8-cifar10" / "plan.json").is_file()


@pytest.mark.usefixtures("volumes")
def test_the_plan_on_the_volume_is_the_plan_of_today():
    command_line.main(["fetch", "--sample"])
    plan = workflow.make_current_plan(default_experiment())
    assert plan == schedule.make(
        default_experiment(),
        workflow.declarations.load(),
        {
            "input.model": "inputs/models/resnet8-cifar10",
            "input.dataset": "inputs/cifar10-sample",
        },
        facts.cores(),
    )


def test_a_table_is_not_cut_where_no_terminal_says_how_wide_it_is(monkeypatch):
    assert console.make_console().width == console.PLAIN_WIDTH
    monkeypatch.setattr(
        console, "SafeConsole", lambda **options: Console(force_terminal=True, **{"width": 77, **options})
    )
    assert console.make_console().width == 77


@pytest.mark.usefixtures("volumes")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run --fail-on drop_pp=1", "--baseline and --fail-on go together"),
        ("run --baseline yesterday", "--baseline and --fail-on go together"),
        ("run --baseline yesterday --fail-on drop=1", "--fail-on drop=1: no such metric; did you mean drop_pp"),
        ("run --baseline yesterday --fail-on drop_pp=1", "'yesterday' is no run: "),
        ("run --baseline resnet8-cifar10 --fail-on drop_pp=1", "is the folder of this run itself"),
        ("run onnx.int8 --baseline yesterday --fail-on drop_pp=1", "leave out --select and targets"),
        ("run --select --fail-on drop_pp=1", "leave out --select and targets"),
    ],
)
def test_a_baseline_that_can_not_be_is_refused_before_anything_runs(capsys, words, message):
    code, error_text = run(capsys, *words.split())
    assert code == 2
    assert message in error_text
