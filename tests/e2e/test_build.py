"""The command `build` on a `docker` that prints a log: what is started, shown and kept. No daemon is needed."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from build_logs import BUILT, FAILED

from driver.cli.main import main
from driver.engines import build
from driver.engines.build import Advanced, Ended
from driver.host import fixes, logs, probes
from shared.artifacts.store import ROOT
from shared.errors import CrossquantError


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """Put a `docker` first on the PATH, which prints a log, writes down how it was called, and ends with a code."""

    def put(log: str, code: int = 0) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "log").write_text(log)
        script = folder / "docker"
        called = 'echo "$@" "$BUILDKIT_PROGRESS" "$PWD" >"$0.called"'
        script.write_text(f'#!/bin/sh\n{called}\ncat "$(dirname "$0")/log" >&2\nexit {code}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return folder / "docker.called"

    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setattr(logs, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(fixes, "apply_all", lambda: iter(()))
    monkeypatch.setattr(probes, "connect", object)
    return put


def test_a_line_an_image_and_the_whole_log_in_a_file(docker, tmp_path, capsys):
    called = docker(BUILT)
    assert main(["build", "driver", "keras"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    ready = [["[1/2]", "image", "driver", "built"], ["[2/2]", "image", "keras", "cached"]]
    assert [line[:4] for line in lines] == ready
    assert (tmp_path / "logs" / "build.log").read_text() == BUILT
    assert called.read_text() == f"compose -f compose.yaml build prepare keras plain {ROOT}\n"


def test_all_that_are_not_optional_are_built_where_none_is_named(docker):
    called = docker("")
    assert main(["build", "--quiet"]) == 0
    assert called.read_text().split()[:7] == ["compose", "-f", "compose.yaml", "build", "prepare", "keras", "onnx"]


def test_an_optional_image_brings_its_compose_file(docker):
    called = docker("")
    assert main(["build", "litert"]) == 0
    assert called.read_text().startswith("compose -f compose.yaml -f images/litert/compose.yaml build litert plain ")


def test_a_build_that_fails_shows_the_end_of_its_log(docker, tmp_path, capsys):
    docker("#0 the beginning\n" + "#0 more\n" * 50 + FAILED, 17)
    assert main(["build", "keras"]) == 3
    output = capsys.readouterr()
    assert "ERROR: No matching distribution found for keras==3.11" in output.out
    assert "the beginning" not in output.out
    log = tmp_path / "logs" / "build.log"
    assert output.err == f"error: the images can't be built (exit code 17): the whole log is {log}\n"
    assert log.read_text().startswith("#0 the beginning\n")


def test_a_failure_is_shown_where_little_is_wanted(docker, capsys):
    docker(FAILED, 1)
    assert main(["build", "keras", "--quiet"]) == 3
    output = capsys.readouterr()
    assert output.out == ""
    assert "ERROR: No matching distribution" in output.err


def test_verbose_says_what_is_started_and_where_the_log_is(docker, tmp_path, capsys):
    docker(BUILT)
    main(["build", "keras", "--verbose"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["docker compose -f compose.yaml build keras", f"log: {tmp_path}/logs/build.log"]


def test_what_is_no_image(docker, capsys):
    docker("")
    assert main(["build", "tensorflow"]) == 2
    assert capsys.readouterr().err.startswith("error: no image 'tensorflow': known are keras, litert, onnx, ")


@pytest.mark.usefixtures("docker")
def test_a_host_without_docker(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CrossquantError, match="docker is not on this host: `make docker-host` installs it"):
        list(build.build_images(["keras"]))


@pytest.mark.usefixtures("docker")
def test_a_host_without_a_daemon(monkeypatch, capsys):
    monkeypatch.setattr(probes, "connect", lambda: None)
    assert main(["build"]) == 2
    assert capsys.readouterr().err == "error: no Docker daemon answers: start it, or `make docker-host`\n"


def test_two_builds_at_once_do_not_share_a_log(docker, capsys):
    docker(BUILT)
    first = build.build_images(["keras"])
    assert isinstance(next(first), Advanced)
    assert main(["build", "keras"]) == 2
    assert "is in use by process" in capsys.readouterr().err
    assert isinstance(list(first)[-1], Ended)


def test_a_build_that_is_stopped_leaves_no_process(docker, tmp_path):
    docker(BUILT)
    script = tmp_path / "bin" / "docker"
    script.write_text(f'#!/bin/sh\necho $$ >"$0.pid"\ncat "{tmp_path}/bin/log"\nexec sleep 60\n')
    events = build.build_images(["keras"])
    next(events)
    events.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "bin" / "docker.pid").read_text()), 0)


def test_a_base_image_that_can_not_be_made_leaves_a_log(monkeypatch, tmp_path):
    script = tmp_path / "images" / "base" / "build"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\necho one\necho 'E: no space left' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(fixes, "ROOT", tmp_path)
    monkeypatch.setattr(logs, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(probes, "registry_answers", lambda _: False)
    with pytest.raises(CrossquantError) as caught:
        fixes.get_base(SimpleNamespace())
    log = tmp_path / "logs" / "base-image.log"
    wanted = f"no base image {probes.base_image()}: E: no space left; the log is {log}; run "
    assert str(caught.value) == wanted + "`make docker-host`, then again"
    assert log.read_text() == "one\nE: no space left\n"
