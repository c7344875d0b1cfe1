"""The documents name what there is, and what they name is there."""

import argparse
import re
from pathlib import Path

import pytest

from driver.__main__ import parser
from shared.store import ROOT

DOCUMENTS = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("benchmarks/*.md"),
        *ROOT.glob("driver/models/*.md"),
    )
)
README = (ROOT / "README.md").read_text()


def commands() -> dict[str, argparse.ArgumentParser]:
    actions = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(actions[0].choices)


@pytest.mark.parametrize("name", commands())
def test_the_readme_has_every_command(name: str) -> None:
    assert re.search(rf"python -m driver {name}\b", README)


@pytest.mark.parametrize("name", commands())
def test_the_readme_has_every_option(name: str) -> None:
    for action in commands()[name]._actions:
        for option in action.option_strings:
            if option.startswith("--") and option != "--help":
                assert f"{option}" in README, f"{name} {option}"


@pytest.mark.parametrize("target", re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
def test_make_targets_are_told_in_readme_or_contributing(target: str) -> None:
    assert re.search(rf"make .*\b{target}\b", README + (ROOT / "CONTRIBUTING.md").read_text())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in link:
            assert (path.parent / link).exists(), link


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/architecture.md", "LICENSE"])
def test_the_document_is_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0
