"""The files that are checked before a commit, and what describes the project to others, fit the project."""

import re
import runpy
import tomllib

import pytest
import yaml

from driver import __version__
from shared.artifacts.store import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
STRAY = runpy.run_path(str(ROOT / ".ci" / "stray-paths"))
FOLDER = "/home"  # the paths below are put together: this file is searched for such paths too


def stray(text: str) -> list[tuple[int, str, str]]:
    return list(STRAY["stray_paths"](text))


@pytest.mark.parametrize(
    "text",
    [
        f"{FOLDER}/somebody/models",
        "see " + "/Users" + "/somebody/x.keras",
        "open('" + "/root" + "/volumes')",
        "cd " + "/work" + "/main",
        "/tmp" + "/pytest-of-root/1",
        "https://" + "pypi.example.org/simple",
        "--index-url https://" + "artifactory.example.org/api/simple",
        "https://" + "somebody:secret@example.org",
        "http://" + "10.0" + ".3.4:8080",
        "mirror.example" + ".internal/python",
    ],
)
def test_a_path_of_one_machine_is_found(text):
    ((number, _, _),) = [stray(f"first\n{text}")[0]]
    assert number == 2


@pytest.mark.parametrize(
    "text",
    [
        "/home/me/models",
        "--mount=type=cache,target=/root/.cache/pip",
        "/".join(("volumes", "work", "model")),
        "https://download.pytorch.org/whl/cpu",
        "version 10.0.3",
        "https://me:secret@example.org",
        "shared/internal/x",
        "def lan(x): x.internal(1)",
    ],
)
def test_an_ordinary_path_is_not(text):
    assert stray(text) == []


def test_no_tracked_file_has_one():
    assert [
        (path.name, *place)
        for path in STRAY["tracked_files"]()
        if path.is_file() and path.name != "stray-paths" and b"\0" not in path.read_bytes()
        for place in stray(path.read_text(errors="replace"))
    ] == []


def test_every_hook_is_run_from_the_environment_without_a_network():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    checks = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    for hook in hooks:
        assert hook["entry"].split()[0] in checks, "make check has it too"
    assert len(hooks) == len(checks.splitlines())


def test_all_files_name_one_version():
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "driver.__version__"}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    released = re.search(r"^## (\S+) - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[1] == citation["version"] == __version__
    assert released[2] == citation["date-released"]
    assert PROJECT["project"]["license"] == {"text": citation["license"]}
    assert f"the latest release, {__version__}" in (ROOT / "SECURITY.md").read_text()


def test_every_exception_from_warnings_has_its_reason():
    text = (ROOT / "pyproject.toml").read_text()
    listed = re.search(r"^filterwarnings = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)[1].splitlines()
    assert listed[0].strip() == '"error",'
    for line in listed[1:]:
        assert re.search(r'",  # \w', line), line
