"""The documents name everything that exists, and everything that they name exists."""

import argparse
import re
from pathlib import Path

import pytest
import yaml

from driver.cli.main import make_parser
from shared.artifacts.store import ROOT

DOCUMENTS = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("benchmarks/*.md"),
        *ROOT.glob("driver/models/*.md"),
    )
)
BUILTIN = ROOT / "driver" / "experiment" / "builtin"
README = (ROOT / "README.md").read_text()


OPTIONAL = "-f images/litert/compose.yaml -f images/openvino/compose.yaml"
# A test that runs each command that the README tells to type: "file::function" below tests/. Those of the Makefile that
# `make test` itself needs are run by CI with it.
RUN_BY = {
    "make run": "e2e/test_readme.py::test_make_run_is_the_driver_s_run",
    "make test": "",
    "./crossquant new --model my.keras --data my_data": (
        "e2e/test_experiments.py::test_a_file_of_keras_2_in_docker_and_by_compose"
    ),
    "./crossquant run --experiment my": "e2e/test_experiments.py::test_a_file_of_keras_2_in_docker_and_by_compose",
    "./crossquant inspect driver/models/resnet8-cifar10.keras": (
        "e2e/test_readme.py::test_inspect_shows_the_default_model"
    ),
    f"docker compose -f compose.yaml {OPTIONAL} build litert openvino": "e2e/test_optional_run.py::compose",
    "./crossquant run": "e2e/conftest.py::finish",
    "docker compose up --build": "e2e/test_compose.py::up",
    "docker compose up --abort-on-container-failure": "e2e/test_compose.py::up",
    "docker compose run --rm onnx onnx.uint8 predictions.onnx.uint8": (
        "e2e/test_compose.py::test_one_framework_s_stage_alone"
    ),
    "SAMPLE=1 docker compose up": "e2e/test_compose.py::up",
    "EXPERIMENT=mlperf-tiny docker compose up": "e2e/test_experiments.py::test_the_model_of_mlperf_tiny_by_compose",
    "./crossquant run onnx.uint8": "e2e/test_readme.py::test_one_target_with_all_it_needs",
    "./crossquant list": "e2e/test_run.py::test_list_shows_every_stage_and_that_it_is_fresh",
    "./crossquant diff mlperf-tiny.selected resnet8-cifar10": "e2e/test_run.py::test_two_runs_side_by_side",
    "./crossquant fetch": "e2e/test_readme.py::test_fetch_brings_what_a_run_needs",
    "./crossquant doctor": "e2e/test_run.py::test_doctor_shows_what_this_host_has",
    "./crossquant run --select --experiment mlperf-tiny": (
        "e2e/test_quantization.py::test_recipes_are_chosen_on_training_images_and_the_winners_tested_once"
    ),
    "./crossquant explain onnx.int8": "e2e/test_quantization.py::test_a_variant_is_explained_layer_by_layer",
}


def typed() -> set[str]:
    """What the README tells to type: in blocks of shell commands, and after a prompt."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line for kind, block in blocks for line in block.splitlines() if kind == "sh" or line.startswith("$ ")]
    lines += [
        line for kind, block in blocks for line in block.splitlines() if not kind and line.startswith("./crossquant ")
    ]
    return {line.removeprefix("$ ").partition("#")[0].strip() for line in lines} - {""}


def test_every_command_of_the_readme_is_run_by_a_test() -> None:
    assert typed() == set(RUN_BY)


@pytest.mark.parametrize("where", sorted(set(RUN_BY.values()) - {""}))
def test_the_test_that_runs_it_is_there(where: str) -> None:
    path, _, name = where.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / "tests" / path).read_text(), re.MULTILINE)


def test_every_experiment_of_the_readme_ships() -> None:
    names = set(re.findall(r"^\| \[`([\w-]+)`\]\(driver/experiment/builtin/", README, re.MULTILINE))
    assert names == {path.stem for path in BUILTIN.glob("*.yaml")}


@pytest.mark.parametrize("path", sorted(BUILTIN.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_experiment_that_ships_names_no_file_outside_of_the_checkout(path: Path) -> None:
    sources = yaml.safe_load(path.read_text())["model"]["sources"]
    for source in sources:
        if "path" in source:
            assert (ROOT / source["path"]).resolve().is_relative_to(ROOT)
            assert (ROOT / source["path"]).exists()


def commands() -> dict[str, argparse.ArgumentParser]:
    actions = [action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(actions[0].choices)


@pytest.mark.parametrize("name", commands())
def test_the_readme_has_every_command(name: str) -> None:
    assert re.search(rf"\./crossquant {name}\b", README)


@pytest.mark.parametrize("name", commands())
def test_the_readme_has_every_option(name: str) -> None:
    for action in commands()[name]._actions:
        for option in action.option_strings:
            if option.startswith("--") and option != "--help":
                assert f"{option}" in README, f"{name} {option}"


@pytest.mark.parametrize("target", re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
def test_readme_or_contributing_describes_make_targets(target: str) -> None:
    assert re.search(rf"make .*\b{target}\b", README + (ROOT / "CONTRIBUTING.md").read_text())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in link:
            assert (path.parent / link).exists(), link


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/architecture.md", "LICENSE"])
def test_the_document_is_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0
