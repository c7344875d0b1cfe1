"""The script `crossquant`, in a copy of the checkout: makes .venv when it must, from any directory, once at a time."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import start_process

from driver.cli import main as command_line
from shared.artifacts.store import ROOT

# In the place of images/base/install: what would take a minute takes a moment, and says that it was called.
INSTALL = """\
#!/bin/sh
echo "pip says $1" >&2
echo "$2" >> "$(dirname "$0")/called"
sleep 0.5
mkdir -p "$2/bin"
ln -s "{prefix}/bin/python" "$2/bin/python"
ln -s "{prefix}/lib" "$2/lib"
cp "{prefix}/pyvenv.cfg" "$2"
"""
DOES_NOT_INSTALL = '#!/bin/sh\nmkdir "$2"\nfor i in 1 2 3 4 5 6 7; do echo line $i; done\nexit 1\n'
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """All that the command needs until it runs a stage."""
    top = tmp_path / "check out"
    for name in ("driver", "shared"):
        shutil.copytree(ROOT / name, top / name, ignore=shutil.ignore_patterns("__pycache__"))
    (top / "images" / "base").mkdir(parents=True)
    shutil.copy(ROOT / "crossquant", top)
    put_install(top, INSTALL.format(prefix=sys.prefix))
    return top


def put_install(top: Path, text: str) -> None:
    (top / "images" / "base" / "install").write_text(text)


def count_installations(top: Path) -> int:
    path = top / "images" / "base" / "called"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def start(checkout: Path, tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Start the command in a directory that has modules of the driver's names, as a user's may have."""
    for name in ("driver", "shared", "rich", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the working directory was imported')")

    def call(*arguments: str, script: Path = checkout / "crossquant", **environment: str) -> "subprocess.Popen[str]":
        command = [str(script), *arguments]
        return start_process(command, os.environ | environment, tmp_path, start_new_session=True)

    return call


@pytest.fixture
def run(start: Callable[..., "subprocess.Popen[str]"]) -> Callable[..., tuple[int, str, str]]:
    """(exit code, stdout, stderr)"""

    def call(*arguments: str, **more: object) -> tuple[int, str, str]:
        process = start(*arguments, **more)
        out, err = process.communicate()
        return process.returncode, out, err

    return call


def test_the_first_time_makes_an_environment_and_the_second_time_says_nothing(checkout, run):
    making = "making .venv from driver/requirements-dev.lock (once)\n"
    assert run("--version") == (0, "crossquant 0.2.0\n", making)
    assert run("--version") == (0, "crossquant 0.2.0\n", "")
    assert count_installations(checkout) == 1
    assert "pip says" in (checkout / ".logs" / "setup.log").read_text()


def test_another_lock_makes_it_anew(checkout, run):
    run("--version")
    (checkout / "driver" / "requirements-dev.lock").write_text("rich==99\n")
    assert run("--version")[2].startswith("making .venv ")
    assert count_installations(checkout) == 2


def test_two_that_start_at_once_make_it_once(checkout, start):
    processes = [start("--version") for _ in range(3)]
    ends = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert {out for out, _ in ends} == {"crossquant 0.2.0\n"}
    assert sorted(len(err.splitlines()) for _, err in ends) == [0, 0, 1]
    assert count_installations(checkout) == 1


def test_an_installation_that_was_killed_is_made_anew(checkout, start, run):
    process = start("--version")
    while not count_installations(checkout):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert run("--version")[0] == 0
    assert count_installations(checkout) == 2


def test_an_installation_that_fails_shows_its_end_and_its_log(checkout, run):
    put_install(checkout, DOES_NOT_INSTALL)
    code, out, err = run("list")
    log = checkout / ".logs" / "setup.log"
    last = "line 3\nline 4\nline 5\nline 6\nline 7\n"
    assert (code, out) == (2, "")
    assert err.endswith(f"(once)\n{last}error: .venv can't be made: the log is {log}\n")
    assert log.read_text().startswith("line 1\n")
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there_or_too_old(checkout, run, tmp_path):
    message = "error: nowhere is not on this host: install Python 3.11 or newer, or set PYTHON\n"
    assert run("list", PYTHON="nowhere") == (2, "", message)
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n[ "$1" = --version ]\n')
    old.chmod(0o755)
    message = "error: Python 3.9.2 is too old: install Python 3.11 or newer, and set PYTHON to it\n"
    assert run("list", PYTHON=str(old)) == (2, "", message)
    assert count_installations(checkout) == 0


def test_a_link_to_the_script_is_as_good(checkout, run, tmp_path):
    link = tmp_path / "crossquant"
    link.symlink_to(checkout / "crossquant")
    code, out, _ = run("--help", script=link)
    assert code == 0
    assert out.startswith(f"usage: {link} ")


def test_the_exit_code_and_the_arguments_are_those_of_the_driver(run):
    code, out, err = run("list", "--experiment", "no such one")
    assert (code, out) == (2, "")
    assert "error: no experiment 'no such one': " in err


def test_a_shell_that_completes_does_not_wait_for_an_installation(checkout, run, tmp_path):
    words = {"_ARGCOMPLETE": "1", "COMP_LINE": "crossquant ch", "COMP_POINT": "13"}
    answer = tmp_path / "answer"
    assert run(_ARGCOMPLETE_STDOUT_FILENAME=str(answer), **words) == (1, "", "")
    assert count_installations(checkout) == 0


COMPLETED = [
    ("crossquant ch", ["check-data"]),
    ("crossquant run --experiment mlp", ["mlperf-tiny"]),
    ("crossquant explain onnx.u", ["onnx.u8s8", "onnx.u8s8-percentile", "onnx.u8s8-reduced", "onnx.uint8"]),
    ("crossquant explain --experiment broken onnx.u", []),
    ("crossquant run calib", ["calibration"]),
    ("crossquant list --with lit", ["litert"]),
    ("crossquant build d", ["driver"]),
    ("crossquant diff res", ["resnet8-cifar10"]),
    ("crossquant run --engine do", ["docker"]),
    ("crossquant report --jun", ["--junit"]),
]


@pytest.mark.parametrize(("line", "offered"), COMPLETED)
def test_what_a_shell_offers(volumes, tmp_path, line, offered):
    """As argcomplete asks: the line and the place in it by the environment, the answer into a file."""
    for name in ("resnet8-cifar10/comparison/comparison.json", "inputs/broken.yaml"):
        (volumes / name).parent.mkdir(parents=True, exist_ok=True)
        (volumes / name).write_text("{}")
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    subprocess.run(
        [sys.executable, "-m", "driver"],
        cwd=ROOT,
        env=os.environ | asked | {"_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "_ARGCOMPLETE_SUPPRESS_SPACE": "1"},
        check=True,
    )
    assert sorted(answer.read_text().split()) == offered


def test_a_driver_without_its_checkout_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command_line, "CHECKOUT", tmp_path)
    assert command_line.main(["list"]) == 2
    message = f"error: {tmp_path} is no checkout of crossquant: install it by `pip install -e` from one\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("words", [[], ["run"]])
def test_help_imports_nothing_that_takes_long(words):
    """No time is measured here: what `--help` may not take is what these modules take."""
    code = (
        "import sys; from driver.cli.main import main\n"
        f"try: main([*{words!r}, '--help'])\n"
        "except SystemExit: print([name for name in sys.argv[1:] if name in sys.modules], file=sys.stderr)"
    )
    slow = ["numpy", "rich.console", "yaml", "docker", "requests", "argcomplete", "shared.artifacts.store"]
    done = subprocess.run([sys.executable, "-c", code, *slow], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
