"""What the user's code may do in the venv engine: nothing to the host. Code in a data file, beside a model and in a
model file tries, by `attacks.py`; what became of it is asked from outside too.
"""

import json
import os
import platform
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Done, Driver

from driver.engines import bubblewrap, seccomp, venv
from driver.engines.venv import FOLDER, ensure_environment
from shared.artifacts.store import ROOT
from shared.contract import Plan

pytestmark = pytest.mark.sandbox
ATTACKS = (ROOT / "tests" / "e2e" / "attacks.py").read_text()
MARK = "ATTACKS "
SECRET = "the-secret-of-the-driver"
FILES = ("append", "chmod", "plant", "remove", "rename")  # attempts that below /tmp meet a folder of the sandbox's own
OURS = ROOT / "driver" / "models" / "resnet8-cifar10.keras"
NOBODY, MACHINE = 65534, platform.machine()
SYSTEM_PYTHON = Path("/usr/bin/python3")
SAMPLES = """
import numpy as np

def samples(split):
    random = np.random.default_rng({"train": 1, "test": 2}[split])
    for number in range({"train": 60, "test": 30}[split]):
        yield random.random(8, np.float32), number % 3
"""
LAYER = """
import keras

@keras.saving.register_keras_serializable("mine")
class Same(keras.layers.Layer):
    def call(self, x):
        return x
"""
MODELS = """
import sys, keras
folder, code, attacks = sys.argv[1], sys.argv[2], open(sys.argv[3]).read()
scope = {}
exec(open(code).read(), scope)
def save(name, layer):
    i = keras.Input((8,))
    keras.Model(i, keras.layers.Dense(3, activation="softmax")(layer(i))).save(f"{folder}/{name}.keras")
save("layer", scope["Same"]())
save("lambda", keras.layers.Lambda(eval(f"lambda x: [exec({attacks!r}, {{}}), x][1]"), output_shape=(8,)))
"""


@dataclass(frozen=True)
class Host:
    """What a test lays out for an attack: a home with a secret, sockets that listen, a process that sleeps."""

    folder: Path
    home: Path
    sleeper: "subprocess.Popen[bytes]"
    udp: socket.socket
    listeners: dict[str, socket.socket]
    driver: Driver

    def attempts(self) -> list[tuple[str, Any]]:
        volumes, python = self.driver.volumes, Path(sys.base_prefix)
        docker = [f"{place}/docker.sock" for place in ("/var/run", "/run")]
        listening = [str(self.folder / "unix.sock"), f"\0crossquant-{os.getpid()}", *docker]
        pids = [os.getpid(), self.sleeper.pid]
        secret = [self.home / "secret", volumes / "other" / "keras" / "secret", ROOT / ".git", Path("/etc/shadow")]
        finished = [volumes / "mine" / "onnx" / "onnx.fp32" / "model.onnx", volumes / "inputs" / "finished"]
        places = [ROOT, ROOT / "shared", self.home, self.folder, volumes, volumes / "mine", volumes / "inputs"]
        places += [volumes / "mine" / "onnx", python / "lib", FOLDER / "keras" / "lib", Path("/usr/lib"), Path("/etc")]
        places += [Path("/"), Path("/dev"), Path("/var/tmp"), Path("/run"), Path("/root"), Path("/proc/sys/kernel")]
        return [
            *(("connect", each) for each in listening),
            *(("tcp", [host, self.listeners[host].getsockname()[1]]) for host in ("127.0.0.1",)),
            ("vsock", 1),
            *(("call", name) for name in ("keyctl", "io_uring_setup", "perf_event_open") if MACHINE == "x86_64"),
            *(("read", str(each)) for each in secret),
            *(("list", str(each)) for each in (self.home, volumes / "other", ROOT / "tests")),
            *((kind, str(each)) for each in finished for kind in ("append", "chmod", "rename", "remove")),
            *(("append", str(volumes / name)) for name in ("mine/plan.json", "inputs/models/mine/artifact.json")),
            *(("append", each) for each in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger")),
            *(("plant", str(each / "crossquant_planted.py")) for each in places),
            *((kind, each) for each in pids for kind in ("memory", "environ", "trace", "signal")),
            ("namespace", ""),
            ("mount", "/tmp"),
        ]

    def source(self) -> str:
        """The text of the attack; the driver's own number is added by who starts it."""
        targets = {"secret": SECRET, "udp": self.udp.getsockname(), "attempts": self.attempts()}
        return f"TARGETS = {targets!r}\n{ATTACKS}"

    def check_untouched(self) -> None:
        """Fails if anything of the host was reached."""
        assert self.sleeper.poll() is None
        assert has_arrived(self.udp) is False, "a datagram arrived"
        assert not [name for name, listener in self.listeners.items() if has_arrived(listener)], "somebody connected"
        for name in ("mine/onnx/onnx.fp32/model.onnx", "inputs/finished"):
            path = self.driver.volumes / name
            assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"finished", 0o644)
        planted = [each for kind, each in self.attempts() if kind == "plant" and Path(each).exists()]
        for path in planted:
            Path(path).unlink()
        assert planted == []


def has_arrived(listener: socket.socket) -> bool:
    listener.setblocking(False)
    try:
        listener.recv(100) if listener.type == socket.SOCK_DGRAM else listener.accept()
    except BlockingIOError:
        return False
    return True


@contextmanager
def lay_out(folder: Path) -> Iterator[Host]:
    with ExitStack() as stack:
        listeners = {}
        for name, family, address in (
            ("unix", socket.AF_UNIX, str(folder / "unix.sock")),
            ("abstract", socket.AF_UNIX, f"\0crossquant-{os.getpid()}"),
            ("127.0.0.1", socket.AF_INET, ("127.0.0.1", 0)),
        ):
            listeners[name] = stack.enter_context(socket.socket(family))
            listeners[name].bind(address)
            listeners[name].listen()
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        sleeper = stack.enter_context(subprocess.Popen(["sleep", "3600"]))
        stack.callback(sleeper.kill)
        driver = Driver(folder / "volumes")
        for name in ("mine/onnx/onnx.fp32/model.onnx", "inputs/finished", "other/keras/secret", "../home/secret"):
            path = driver.volumes / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("finished")
            path.chmod(0o644)
        driver.environment |= {"HOME": str(folder / "home"), "SECRET_TOKEN": SECRET}
        yield Host(folder, folder / "home", sleeper, udp, listeners, driver)


@contextmanager
def folder_outside_tmp() -> Iterator[Path]:
    """Everything is refused there; below /tmp, which is another one in a sandbox, much is done and changes nothing."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def host() -> Iterator[Host]:
    with folder_outside_tmp() as folder, lay_out(folder) as layout:
        yield layout


@pytest.fixture(params=["outside of /tmp", "below /tmp"])
def any_host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """For tests of where the volume lies: the sandbox has a /tmp of its own."""
    with ExitStack() as stack:
        folder = tmp_path if request.param == "below /tmp" else stack.enter_context(folder_outside_tmp())
        yield stack.enter_context(lay_out(folder))


def check_attack_log(log: str) -> dict[str, Any]:
    """What the attack said it saw, after a look at whether any attempt succeeded."""
    lines = [line.removeprefix(MARK) for line in log.splitlines() if line.startswith(MARK)]
    assert lines, log
    result: dict[str, Any] = json.loads(lines[0])
    done = [name.split(" ", 1) for name, outcome in result["outcomes"].items() if not outcome.startswith("refused")]
    assert [each for each in done if each[0] not in FILES or not each[1].startswith("/tmp/")] == []
    seen = result["seen"]
    assert seen["secrets"] is False
    assert max(seen["pids"]) < 1000, "processes of the host are seen"
    assert seen["interfaces"] == ["lo"]
    assert all(line.split()[1].strip("0") == "" for line in seen["privileges"])
    assert not {name for name in seen["variables"] if "TOKEN" in name or "DOCKER" in name or "PIP" in name}
    return seen


def own(driver: Driver, *arguments: str, code: Path | None = None) -> Done:
    """A run of the experiment `mine`. The driver's own process number goes to the end of the attempts in `code`."""
    command = driver.command("run", "--engine", "venv", "--experiment", "mine", *arguments)
    if code is not None:
        script = "sed -i \"s/'attempts': \\[/'attempts': [('signal', $$), ('memory', $$), /\" \"$0\"; exec \"$@\""
        command = ["sh", "-c", script, str(code), *command]
    done = subprocess.run(command, cwd=ROOT, env=driver.environment, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def new(driver: Driver, model: Path, data: Path, *more: str) -> None:
    done = driver("new", "--no-check", "--model", str(model), "--data", str(data), "--name", "mine", *more)
    assert done.exit_code == 0, done.stderr


def log(driver: Driver, output: str) -> str:
    return (driver.volumes / "mine" / "keras" / "logs" / f"{output}.log").read_text()


def python_data(folder: Path, before: str) -> Path:
    """A data set that is made by a Python file, which runs `before` first."""
    folder.mkdir()
    (folder / "load_data.py").write_text(f"{before}\n{SAMPLES}")
    return folder


def make_models(host: Host) -> tuple[Path, Path]:
    """`layer.keras` with a layer of the user's, and the file that has it; `lambda.keras` holds the attack itself."""
    code, attacks = host.folder / "my_layers.py", host.folder / "attack.py"
    code.write_text(LAYER)
    attacks.write_text(host.source())
    command = [ensure_environment("keras"), "-c", MODELS, str(host.folder), str(code), str(attacks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return host.folder, code


def test_code_that_reads_the_data(any_host: Host) -> None:
    host = any_host
    data = python_data(host.folder / "data", host.source())
    new(host.driver, OURS, data)
    done = own(host.driver, "data", code=data / "load_data.py")
    assert done.exit_code == 0, done.stdout + done.stderr
    seen = check_attack_log(log(host.driver, "data"))
    assert seen["uid"] == os.getuid()
    inside = [str(host.driver.volumes / "mine" / "keras"), "/dev/null", "pipe:", ""]
    assert [each for each in seen["descriptors"] if not each.startswith(tuple(inside[:3])) and each] == []
    host.check_untouched()


def test_code_beside_the_model(host: Host) -> None:
    folder, code = make_models(host)
    code.write_text(LAYER + host.source())
    new(host.driver, folder / "layer.keras", python_data(folder / "data", ""), "--code", str(code))
    done = own(host.driver, "predictions.keras.fp32", code=code)
    assert done.exit_code == 0, done.stdout + done.stderr
    check_attack_log(log(host.driver, "keras.fp32"))
    host.check_untouched()


def test_code_inside_the_model_file(host: Host) -> None:
    folder, _ = make_models(host)
    new(host.driver, folder / "lambda.keras", python_data(folder / "data", ""))
    assert own(host.driver, "keras.fp32").exit_code == 3, "not without --trust"
    done = own(host.driver, "keras.fp32", "--trust")
    assert done.exit_code == 0, done.stdout + done.stderr
    check_attack_log(log(host.driver, "keras.fp32"))
    host.check_untouched()


def test_code_inside_a_model_that_is_only_looked_at(host: Host) -> None:
    folder, _ = make_models(host)
    done = host.driver("inspect", str(folder / "lambda.keras"), "--engine", "venv", "--trust")
    assert done.exit_code == 0, done.stdout + done.stderr
    check_attack_log((host.driver.volumes / "inspect" / "keras" / "logs" / "compatibility.keras.log").read_text())
    host.check_untouched()


def test_a_signal_to_all_processes(host: Host) -> None:
    data = python_data(host.folder / "data", "import os, signal\nos.kill(-1, signal.SIGKILL)\nos.kill(os.getppid(), 9)")
    new(host.driver, OURS, data)
    done = own(host.driver, "data")
    assert done.exit_code in (0, 3), "the driver lives"
    assert "Traceback" not in done.stderr
    host.check_untouched()
    assert host.driver.leftovers() == []


def test_no_process_outlives_the_run(host: Host) -> None:
    """One that left its session and closed everything: nobody waits for it, and nothing tells of it."""
    started = "import subprocess\nsubprocess.Popen(['sleep', '98765'], start_new_session=True, close_fds=True)"
    data = python_data(host.folder / "data", started)
    new(host.driver, OURS, data)
    assert own(host.driver, "data").exit_code == 0
    assert commands("98765") == []


def test_a_driver_that_is_killed_takes_its_stages_along(host: Host) -> None:
    waits = "import subprocess, os\nos.write(1, b'asleep\\n')\nsubprocess.run(['sleep', '98764'])"
    data = python_data(host.folder / "data", waits)
    new(host.driver, OURS, data)
    process = host.driver.start_command("run", "--engine", "venv", "--experiment", "mine", "data")
    while not commands("98764"):
        assert process.poll() is None
    process.kill()
    process.wait()
    while commands("98764"):  # the test's time-out ends a wait in vain
        pass


def commands(word: str) -> list[str]:
    """The command lines of this host's processes that have a word."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if word.encode() in words:
            lines.append(str(words))
    return lines


@pytest.mark.parametrize("place", ["link", "deep"])
def test_the_volume_may_lie_anywhere(tmp_path: Path, place: str) -> None:
    (tmp_path / "real").mkdir()
    if place == "link":
        (tmp_path / "link").symlink_to("real")
    done = Driver(tmp_path / ("link" if place == "link" else "real/a b/ü")).run("dataset")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert done.made() == ["dataset"]


def test_what_changes_how_numbers_are_computed_reaches_the_stage(host: Host) -> None:
    """The variables that a user sets for it, and the number of CPUs of the experiment."""
    code = "import os\nvalues = os.environ.get('OPENBLAS_CORETYPE'), len(os.sched_getaffinity(0))"
    data = python_data(host.folder / "data", f"{code}\nos.write(1, repr(values).encode())")
    new(host.driver, OURS, data)
    experiment = host.driver.volumes / "inputs" / "mine.yaml"
    experiment.write_text(experiment.read_text().replace("cpus: 2", "cpus: 1"))
    host.driver.environment["OPENBLAS_CORETYPE"] = "Haswell"
    assert own(host.driver, "data").exit_code == 0
    assert "('Haswell', 1)" in log(host.driver, "data")


def test_a_python_that_does_not_start_in_the_sandbox(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one with a library in a place that is not shown: what keeps it from starting is told."""
    monkeypatch.setenv("CROSSQUANT_VOLUMES", str(host.driver.volumes))
    plan = Plan(2, "mine", 1, 1, (), "", {}, (), own_model=False)
    sandbox, python = (
        bubblewrap.make_sandbox(bubblewrap.try_sandbox(), plan, "keras", FOLDER / "keras"),
        Path("/nowhere/python"),
    )
    with sandbox.run([str(python), "-m", "shared.stage"]) as process:
        assert process.wait() == 127
        error = venv.find_sandbox_error(process, sandbox, python, "keras")
    assert str(error) == (
        "image 'keras' does not start in bubblewrap: bwrap: execvp /nowhere/python: No such file or directory"
    )


# As an ordinary user


def test_an_ordinary_user_is_as_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same attack by a Python of the system's, in the sandbox that the engine makes, without root's rights."""
    if os.geteuid() != 0:
        pytest.skip("an ordinary user runs all of these tests")
    if not SYSTEM_PYTHON.exists() or not reachable(ROOT):
        pytest.skip(f"{SYSTEM_PYTHON} or {ROOT} can't be read by everyone")
    with folder_outside_tmp() as folder, lay_out(folder) as host, seccomp.open_filters() as filters:
        subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        monkeypatch.setenv("CROSSQUANT_VOLUMES", str(host.driver.volumes))
        monkeypatch.setenv("SECRET_TOKEN", SECRET)
        plan = Plan(2, "mine", 1, 1, (), "", {"input.model": "inputs/models/mine"}, (), own_model=False)
        sandbox = bubblewrap.make_sandbox(bubblewrap.try_sandbox(), plan, "keras", folder / "venv")
        (host.driver.volumes / "mine" / "keras").chmod(0o777)
        program = [folder / "venv" / "bin" / "python", "-c", host.source()]
        done = subprocess.run(
            [*sandbox.command, *bubblewrap.list_filter_arguments(filters), *program],
            env=sandbox.variables,
            pass_fds=filters,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert check_attack_log(done.stdout)["uid"] == NOBODY
        host.check_untouched()


def reachable(path: Path) -> bool:
    return all(each.stat().st_mode & 0o005 == 0o005 for each in (path, *path.parents))


# Where bubblewrap is missing, or can't work


REFUSED = "'mine' has a model or data that are not the project's own, which run in a sandbox alone, and bubblewrap "


@pytest.fixture
def none(tmp_path: Path) -> str:
    """A PATH without bubblewrap."""
    (tmp_path / "bin").mkdir()
    return str(tmp_path / "bin")


def test_the_projects_own_model_runs_without(tmp_path: Path, none: str) -> None:
    done = Driver(tmp_path / "volumes").run("keras.fp32", PATH=none)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "bubblewrap is not on this host: the project's own model and data run without a sandbox" in done.stdout


@pytest.mark.parametrize("engine", ["venv", "auto"])
def test_any_other_model_is_refused_with_what_it_takes(host: Host, none: str, engine: str) -> None:
    """One with its sum in the user's own experiment, too: that is no word of the project's."""
    folder, code = make_models(host)
    experiment = host.driver.volumes / "inputs" / "mine.yaml"
    new(host.driver, folder / "layer.keras", python_data(folder / "data", ""), "--code", str(code))
    digest = subprocess.run(["sha256sum", folder / "layer.keras"], capture_output=True, text=True, check=True).stdout
    experiment.write_text(experiment.read_text().replace("model:\n", f"model:\n  sha256: {digest.split()[0]}\n", 1))
    gone = {"PATH": none, "DOCKER_HOST": f"unix://{folder}/none.sock"}
    done = host.driver("run", "--experiment", "mine", "--engine", engine, **gone)
    assert done.exit_code == 2
    assert done.stderr == f"error: {REFUSED}is not on this host: `apt install bubblewrap`, or start Docker\n"
    assert not (host.driver.volumes / "mine" / "keras" / "logs").exists(), "nothing was run"


def test_so_are_data_of_ones_own(host: Host, none: str) -> None:
    new(host.driver, OURS, python_data(host.folder / "data", host.source()))
    done = host.driver("check-data", "--experiment", "mine", "--engine", "venv", PATH=none)
    assert (done.exit_code, done.stderr[: len(REFUSED) + 7]) == (2, f"error: {REFUSED}")
    host.check_untouched()


def test_so_is_a_model_that_is_only_looked_at(host: Host, none: str) -> None:
    folder, _ = make_models(host)
    done = host.driver("inspect", str(folder / "lambda.keras"), "--engine", "venv", PATH=none)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "`apt install bubblewrap`" in done.stderr


def test_a_host_where_bubblewrap_can_not_work(host: Host) -> None:
    """It is there, but user namespaces aren't, as in many containers: here in a sandbox that forbids them."""
    new(host.driver, OURS, python_data(host.folder / "data", ""))
    inside = [
        "bwrap",
        "--dev-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--unshare-user",
        "--disable-userns",
        "--cap-drop",
        "ALL",
    ]
    for arguments, exit_code in ((["--experiment", "mine", "data"], 2), (["--sample", "dataset"], 0)):
        done = subprocess.run(
            [*inside, *host.driver.command("run", "--engine", "venv", *arguments)],
            cwd=ROOT,
            env=host.driver.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == exit_code, done.stdout + done.stderr
        assert "bubblewrap does not work on this host (bwrap: " in done.stdout + done.stderr
        assert len(done.stderr.splitlines()) <= 1


# Where the user wants none


def test_without_the_sandbox_code_can_do_all_that_the_user_can(host: Host) -> None:
    code = f"import os\nos.write(1, open({str(host.home / 'secret')!r}, 'rb').read())\nprint(sorted(os.environ))"
    new(host.driver, OURS, python_data(host.folder / "data", code))
    done = own(host.driver, "data", "--no-sandbox")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == (
        "warning: --no-sandbox: code in the model or the data of 'mine' can do all you can"
    )
    assert "finished" in log(host.driver, "data")
    assert "SECRET_TOKEN" not in log(host.driver, "data"), "what needs no secret is told none all the same"


def test_without_the_sandbox_the_projects_own_model_needs_no_warning(tmp_path: Path) -> None:
    done = Driver(tmp_path / "volumes").run("dataset", "--no-sandbox")
    assert (done.exit_code, "warning" in done.stdout) == (0, False)


def test_a_container_has_no_such_switch(tmp_path: Path) -> None:
    done = Driver(tmp_path / "volumes", "docker").run("dataset", "--no-sandbox")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: --no-sandbox is of the venv engine")
