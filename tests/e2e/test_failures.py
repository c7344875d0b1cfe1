"""When things go wrong: one clear line, the right exit code, nothing half-written, all that is finished kept."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Driver, Edit, Finish, containers, read_until, wait_for_end

from driver.engines.venv import ensure_environment
from driver.host import probes

Write = Callable[[Edit], str]
SOCKET = "/var/run/docker.sock"


@pytest.fixture
def endless(experiment: Write) -> str:
    """The default experiment with timings that would take hours: something to stop."""
    return experiment(lambda content: content.update(latency={"rounds": 1_000_000}))


@contextmanager
def mount_disk(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def list_finished(driver: Driver) -> set[str]:
    return {path.parent.name for path in driver.volumes.rglob("artifact.json")}


# What the user gave


def model_from(path: Path) -> Edit:
    return lambda content: content.update(model={"sources": [{"path": str(path)}]})


def test_a_file_that_is_no_model(driver: Driver, experiment: Write, tmp_path: Path) -> None:
    (tmp_path / "my.keras").write_text("no model")
    done = driver.run("--experiment", experiment(model_from(tmp_path / "my.keras")))
    assert done.exit_code == 3
    assert "keras.fp32 failed: keras.fp32: Keras 3.15.1 can't load my.keras: " in done.stdout
    assert driver.rows()["torch.int8"]["status"] == "skipped"
    assert "calibration" in list_finished(driver)
    assert driver.leftovers() == []


def test_a_model_for_other_images(driver: Driver, experiment: Write, tmp_path: Path) -> None:
    code = (
        "import keras, sys; i = keras.Input((28, 28, 1)); x = keras.layers.Flatten()(i);"
        "keras.Model(i, keras.layers.Dense(10)(x)).save(sys.argv[1])"
    )
    subprocess.run([ensure_environment("keras"), "-c", code, tmp_path / "mnist.keras"], check=True, capture_output=True)
    done = driver.run("keras.fp32", "--experiment", experiment(model_from(tmp_path / "mnist.keras")))
    assert done.exit_code == 3
    assert "failed" in done.stdout
    assert "of the model takes (28, 28, 1), the data set has (32, 32, 3)" in done.stdout


def test_no_model_at_all(driver: Driver, experiment: Write) -> None:
    done = driver.run("--experiment", experiment(model_from(Path("nowhere.keras"))))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "error: no model for 'resnet8-cifar10': nowhere.keras is not there\n"


def test_a_data_set_with_other_content(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "volumes")
    archive = driver.volumes / "inputs" / "cifar-10-binary.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"not a tarball")
    done = driver("run", "--engine", "venv")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {archive} can't be read: ")
    assert done.stderr.endswith("; delete it and run again\n")
    assert not (driver.volumes / "inputs" / "cifar10").exists()


def test_a_misspelt_key_is_named_with_its_line(driver: Driver, experiment: Write) -> None:
    path = experiment(lambda content: content["recipes"]["onnx"]["int8"].update(per_chanel=True))
    done = driver.run("--experiment", path)
    assert done.exit_code == 2
    line = Path(path).read_text().splitlines().index("      per_chanel: true") + 1
    assert done.stderr.startswith(
        f"error: {path}:{line}: recipes.onnx.int8.per_chanel: unknown key; did you mean per_channel, percentile?"
    )
    assert len(done.stderr.splitlines()) == 1
    assert not driver.volumes.exists()


@pytest.mark.parametrize("target", ["onnx.int9", "torch"])
def test_an_unknown_target(driver: Driver, target: str) -> None:
    done = driver.run(target)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: unknown artifact '{target}': did you mean {target[:5]}")
    assert not driver.volumes.exists(), "a target is checked before anything is written"


@pytest.mark.parametrize("text", ["{}", ""], ids=["changed by hand", "emptied by a power cut"])
@pytest.mark.parametrize("file", ["about.json", "artifact.json"])
def test_a_damaged_artifact_is_shown_and_made_anew(driver: Driver, file: str, text: str) -> None:
    assert driver.run("labels", "dataset").exit_code == 0
    folder = driver.folder("dataset", "keras")
    whole = (folder / "about.json").read_text()
    (folder / file).write_text(text)
    assert re.search(r"^dataset +keras +dataset +damaged\b", driver("list").stdout, re.MULTILINE)
    done = driver.run("labels", "dataset")
    assert done.exit_code == 0, done.stderr
    assert done.made() == ["dataset"]
    assert (folder / "about.json").read_text() == whole


# What the host lacks


@pytest.mark.mounts
def test_a_full_disk(driver: Driver) -> None:
    with mount_disk(driver.volumes, "size=17m"):
        done = driver.run()
        assert done.exit_code == 3
        assert "the disk is full: free some space and run again; what is finished is kept" in done.stdout + done.stderr
        assert driver.leftovers() == []
        assert "dataset" in list_finished(driver)


@pytest.mark.mounts
def test_a_disk_that_is_full_from_the_start(driver: Driver) -> None:
    with mount_disk(driver.volumes, "size=64k"):
        done = driver.run()
        assert done.exit_code == 3
        assert done.stderr == "error: the disk is full: free some space and run again; what is finished is kept\n"
        assert driver.leftovers() == []


@pytest.mark.mounts
def test_a_volume_that_is_not_writable(driver: Driver) -> None:
    with mount_disk(driver.volumes, "ro"):
        done = driver.run()
    assert done.exit_code == 2
    folder = driver.volumes / "resnet8-cifar10"
    assert done.stderr == (
        f"error: {folder} is not writable (Read-only file system): change its owner, or set CROSSQUANT_VOLUMES\n"
    )


def test_two_runs_at_once(driver: Driver, endless: str) -> None:
    read_until(driver.start("latency.keras", "--experiment", endless), "predictions.keras.fp32 ")
    done = driver.run("dataset")
    assert done.exit_code == 2
    folder = driver.volumes / "resnet8-cifar10"
    holder = r"process \d+ on \S+ since \d\d:\d\d:\d\d"
    assert re.fullmatch(rf"error: {folder} is in use by {holder}: wait for it, or stop it\n", done.stderr)


@pytest.mark.docker
def test_an_image_that_is_not_built(docker_driver: Driver) -> None:
    client = probes.connect()
    assert client is not None
    assert docker_driver.run("exported").exit_code == 0
    client.images.get("crossquant-onnx").tag("crossquant-aside")
    client.images.remove("crossquant-onnx")
    try:
        done = docker_driver.run("onnx.fp32")
    finally:
        client.images.get("crossquant-aside").tag("crossquant-onnx")
        client.images.remove("crossquant-aside")
    assert done.exit_code == 2
    assert done.stderr == "error: image 'crossquant-onnx' is not built: run `docker compose build onnx`\n"


@pytest.mark.docker
def test_an_image_that_was_built_from_other_code(docker_driver: Driver, tmp_path: Path) -> None:
    build = tmp_path / "Dockerfile"
    build.write_text("FROM crossquant-keras\nRUN echo '# changed' >> images/keras/dataset.py\n")
    client = probes.connect()
    assert client is not None
    client.images.get("crossquant-keras").tag("crossquant-aside")
    try:
        client.images.build(path=str(tmp_path), tag="crossquant-keras")
        done = docker_driver.run("dataset")
    finally:
        client.images.get("crossquant-aside").tag("crossquant-keras")
        client.images.remove("crossquant-aside")
    assert done.exit_code == 2
    assert (
        done.stderr
        == "error: image 'keras' was built from other code than the plan: run `docker compose build keras`\n"
    )


def test_no_docker_daemon(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "volumes", "docker")
    done = driver.run("dataset", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: no Docker daemon answers: start it, or --engine venv (")


def test_auto_takes_the_other_engine_and_says_so(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "volumes", "auto")
    done = driver.run("dataset", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == (
        "no Docker daemon answers: using virtual environments; `make docker-host` sets Docker up"
    )


# What happens in the middle


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_hand(driver: Driver, endless: str, with_signal: signal.Signals) -> None:
    process = driver.start("latency.keras", "--experiment", endless)
    read_until(process, "predictions.keras.fp32 ")
    process.send_signal(with_signal)
    done = wait_for_end(process)
    assert done.exit_code == 130
    assert done.stderr == "stopped: finished artifacts are kept, run again to go on\n"
    assert {"dataset", "keras.fp32", "predictions.keras.fp32"} <= list_finished(driver)
    assert driver.leftovers() == []
    if driver.engine == "docker":
        assert containers(driver) == []
    assert driver.run("predictions.keras.fp32").made() == []


@pytest.mark.docker
def test_a_driver_that_was_killed_leaves_a_container_that_the_next_run_removes(
    docker_driver: Driver, endless: str
) -> None:
    process = docker_driver.start("latency.keras", "--experiment", endless)
    read_until(process, "predictions.keras.fp32 ")
    process.kill()
    process.communicate()
    assert len(containers(docker_driver)) == 1
    assert docker_driver.run("exported").made() == ["exported"]
    assert containers(docker_driver) == []
    assert docker_driver.leftovers() == []


def kill_container(driver: Driver) -> None:
    (container,) = containers(driver)
    container.kill()


@pytest.mark.docker
def test_a_container_that_is_killed_is_started_again(docker_driver: Driver, experiment: Write) -> None:
    long = experiment(lambda content: content.update(latency={"rounds": 100}))
    process = docker_driver.start("latency.keras", "--experiment", long)
    read_until(process, "predictions.keras.fp32 ")
    kill_container(docker_driver)
    done = wait_for_end(process)
    assert done.exit_code == 0, done.stderr
    assert "the container of image 'keras' was killed: starting it again" in done.stdout
    assert done.made() == ["latency.keras"], "what was finished before is not made again"
    assert containers(docker_driver) == []


@pytest.mark.docker
def test_a_container_that_is_killed_again_and_again(docker_driver: Driver, endless: str) -> None:
    process = docker_driver.start("latency.keras", "--experiment", endless)
    read_until(process, "predictions.keras.fp32 ")
    kill_container(docker_driver)
    read_until(process, "the container of image 'keras' was killed: starting it again")
    wait_for_stage(docker_driver)
    kill_container(docker_driver)
    done = wait_for_end(process)
    assert done.exit_code == 3
    assert done.stderr == "error: the container of image 'keras' was killed (exit code 137): run again\n"
    assert containers(docker_driver) == []
    assert docker_driver.leftovers() == []


def wait_for_stage(driver: Driver) -> None:
    """Until the container has begun its stage: its log says so, since the first event of an output is its start."""
    while not containers(driver):
        pass
    (container,) = containers(driver)
    for line in container.logs(stream=True, follow=True):
        if json.loads(line)["event"] == "start":
            return


@pytest.mark.docker
def test_a_stage_that_needs_more_memory_than_it_may(docker_driver: Driver, experiment: Write) -> None:
    small = experiment(lambda content: content["limits"].update(memory="200m"))
    done = docker_driver.run("keras.fp32", "--experiment", small)
    assert done.exit_code == 3
    assert done.stderr == "error: image 'keras' ran out of memory: raise limits.memory (now 200m)\n"
    assert containers(docker_driver) == []
    assert docker_driver.leftovers() == []


def test_a_stage_that_takes_longer_than_it_may(driver: Driver, experiment: Write) -> None:
    def edit(content: dict[str, Any]) -> None:
        content.update(latency={"rounds": 1_000_000})
        content["limits"].update(stage_seconds=10)

    done = driver.run("latency.keras", "--experiment", experiment(edit))
    assert done.exit_code == 3
    assert "not ready after 10 s: raise limits.stage_seconds" in done.stdout
    assert "latency.keras" not in list_finished(driver)
    assert driver.leftovers() == []


class Daemon:
    """A door to the real Docker daemon that a test can shut in the middle of a run.

    It breaks off the first connection on which each of `broken` is sent, unanswered.
    """

    def __init__(self, path: Path, broken: Iterable[bytes] = ()) -> None:
        self.path, self.open, self.broken = path, True, list(broken)
        self.connections: list[socket.socket] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while self.open:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX)
            daemon.connect(SOCKET)
            self.connections += [client, daemon]
            for pair in ((client, daemon), (daemon, client)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while block := source.recv(65536):
                if request := next((request for request in self.broken if request in block), None):
                    self.broken.remove(request)
                    shutdown(source)
                    break
                target.sendall(block)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self.open = False
        self.path.unlink(missing_ok=True)
        self.listener.close()
        for connection in self.connections:
            with closing(connection):
                shutdown(connection)


def shutdown(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


@pytest.mark.docker
def test_a_daemon_that_goes_away_in_mid_run(docker_driver: Driver, endless: str, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "docker.sock")
    process = docker_driver.start("latency.keras", "--experiment", endless, DOCKER_HOST=f"unix://{daemon.path}")
    read_until(process, "predictions.keras.fp32 ")
    daemon.close()
    done = wait_for_end(process)
    assert done.exit_code == 3
    assert done.stderr.startswith(
        "error: the Docker daemon went away while image 'keras' ran: start it and run again; "
    )
    assert "predictions.keras.fp32" in list_finished(docker_driver)
    assert docker_driver.run("exported", "--force").exit_code == 0, "the daemon is back: the next run cleans up"
    assert containers(docker_driver) == []
    assert docker_driver.leftovers() == []


@pytest.mark.docker
def test_a_connection_that_breaks_off_with_the_daemon_alive(docker_driver: Driver, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "docker.sock", broken=[b"/attach?", b"/start HTTP", b"/wait HTTP"])
    with closing(daemon):
        done = docker_driver.run("exported", DOCKER_HOST=f"unix://{daemon.path}")
    assert done.exit_code == 0, done.stderr
    assert daemon.broken == [], "each was broken off once"
    assert containers(docker_driver) == []


def test_a_stage_that_fails_in_latency_alone_is_not_lost(finish: Finish, tmp_path: Path) -> None:
    shutil.copytree(finish("venv").driver.volumes, tmp_path / "volumes")
    driver = Driver(tmp_path / "volumes", "venv")
    shutil.rmtree(driver.folder("latency.onnx", "onnx"))
    done = driver("report")
    assert done.exit_code == 3
    assert "latency.onnx skipped: missing or out of date: run `./crossquant run --sample latency.onnx`" in done.stdout
    assert driver.rows()["onnx.int8"]["status"] == "ok"
    assert os.listdir(driver.folder("onnx.int8", "onnx"))
