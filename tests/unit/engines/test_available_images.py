"""An optional image takes part where it is asked for, named by a recipe, or built; the default goes without it."""

import http.server
import json
import socketserver
import threading
from pathlib import Path

import pytest
from evidence_makers import INPUTS, default_experiment

from driver.catalog import declarations
from driver.cli import workflow
from driver.cli.main import main
from driver.engines import available_images
from driver.experiment import loader, recipes
from driver.plan import schedule
from shared.artifacts import store
from shared.contract import encode
from shared.errors import CrossquantError

GOOD = 'optional = true\n[[stage]]\nrun = "convert"\ninputs = ["keras.fp32"]\noutput = "{name}.fp32"\n'
TAGS = [{"RepoTags": ["crossquant-zebra:latest"]}, {"RepoTags": None}, {"RepoTags": ["crossquant-lion:old"]}]


@pytest.fixture(autouse=True)
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images `lion` and `zebra` beside ours; no daemon answers, and nothing is built."""
    images = declarations.read_all()
    own = {name: declarations.read(written(tmp_path, name)) for name in ("lion", "zebra")}
    required = {name: image for name, image in images.items() if not image.optional}
    monkeypatch.setattr(declarations, "read_all", lambda *_: required | own)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setattr(available_images, "FOLDER", tmp_path / "venvs")
    for name in ("LION", "ZEBRA", "LITERT", "OPENVINO"):
        monkeypatch.delenv(available_images.PREFIX + name, raising=False)


def written(root: Path, name: str) -> Path:
    path = root / "images" / name / "stages.toml"
    path.parent.mkdir(parents=True)
    path.write_text(GOOD.replace("{name}", name))
    return path


class Daemon(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert self.path == "/images/json"
        body = json.dumps(TAGS).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def daemon(tmp_path: Path):
    """What answers as a Docker daemon does, at the socket that DOCKER_HOST names."""
    with socketserver.UnixStreamServer(str(tmp_path / "docker.sock"), Daemon) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def make_environment(tmp_path: Path, name: str) -> None:
    (tmp_path / "venvs" / name).mkdir(parents=True)
    (tmp_path / "venvs" / name / "lock.sha256").write_text("00")


def test_by_default_there_is_none():
    assert available_images.select_optional([], "default", "auto") == ()


def test_what_is_asked_for_or_has_a_recipe_takes_part_built_or_not():
    assert available_images.select_optional(["zebra"], "default", "auto") == ("zebra",)
    assert available_images.select_optional([], {"lion": {}, "onnx": {}}, "auto") == ("lion",)


def test_what_is_built_takes_part(daemon, tmp_path):  # noqa: ARG001
    make_environment(tmp_path, "lion")
    assert available_images.select_optional([], "default", "auto") == ("zebra",), "another tag is another build"
    assert available_images.select_optional([], "default", "docker") == ("zebra",)
    assert available_images.select_optional([], "default", "venv") == ("lion",)


def test_without_a_daemon_the_environments_count(tmp_path):
    make_environment(tmp_path, "lion")
    assert available_images.select_optional([], None, "auto") == ("lion",)


def test_compose_says_so_by_the_environment(monkeypatch):
    monkeypatch.setenv("CROSSQUANT_WITH_ZEBRA", "1")
    monkeypatch.setenv("CROSSQUANT_WITH_LION", "")
    assert available_images.select_optional([], "default", "auto") == ("zebra",)


def test_what_is_built_can_be_left_out(monkeypatch, tmp_path):
    make_environment(tmp_path, "lion")
    monkeypatch.setenv("CROSSQUANT_WITH_LION", "0")
    assert available_images.select_optional([], "default", "auto") == ()
    assert available_images.select_optional(["lion"], "default", "auto") == ("lion",)


def test_a_report_knows_it_by_the_plan():
    assert available_images.list_planned("resnet8-cifar10") == ()
    plan = schedule.make(default_experiment(), declarations.load(["lion"]), INPUTS, 2)
    store.write_atomically(store.plan_path("resnet8-cifar10"), encode(plan))
    assert available_images.list_planned("resnet8-cifar10") == ("lion",)


def test_its_variant_is_made_and_the_others_are_as_without_it():
    without, beside = (
        schedule.make(default_experiment(), declarations.load(names), INPUTS, 2) for names in ([], ["lion"])
    )
    assert [step for step in beside.steps if step.image != "lion"] == list(without.steps)
    assert beside.step("lion.fp32").inputs == ("keras.fp32",)


def test_only_what_looks_back_takes_the_images_of_the_plan(monkeypatch):
    """Else a plan that was made where they are built would hold where they aren't."""
    plan = schedule.make(default_experiment(), declarations.load(["lion"]), INPUTS, 2)
    store.write_atomically(store.plan_path("resnet8-cifar10"), encode(plan))
    monkeypatch.setattr(recipes.declarations, "list_presets", lambda *_: {})
    seen = []
    load = loader.load
    monkeypatch.setattr(loader, "load", lambda path, catalog: seen.append(tuple(catalog)) or load(path, catalog))
    monkeypatch.setattr(workflow.schedule, "make", refuse)
    monkeypatch.setattr(workflow.fetching, "fetch", refuse)
    for words, there in ((["report"], True), (["list"], True), (["fetch"], False), (["run"], False)):
        assert main(words) == 2
        assert ("lion" in seen.pop()) is there, words


def refuse(*_, **__):
    """Nothing is to be made here: which images take part is known."""
    raise CrossquantError("stopped by the test")
