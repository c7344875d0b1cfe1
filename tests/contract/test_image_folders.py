"""The contract of every folder below images/; a new folder is tested without an edit here."""

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from driver.catalog import declarations
from driver.catalog.declarations import Stage
from shared.artifacts import code_hash
from shared.artifacts.store import ROOT

IMAGES = sorted(path.parent.name for path in ROOT.glob("images/*/stages.toml"))
CATALOG = declarations.load(declarations.list_optional())
STAGES = [pytest.param(image, stage, id=f"{image}-{stage.run}") for image in IMAGES for stage in CATALOG[image]]
TYPES = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "list[str]": list,
    "list[int]": list,
    "list[float] | dict[str, float] | str": list,
    "list[float]": list,
    "dict[str, Any]": dict,
}

per_image = pytest.mark.parametrize("image", IMAGES)
per_stage = pytest.mark.parametrize(("image", "stage"), STAGES)


def folder(image: str) -> Path:
    return ROOT / "images" / image


def run_of(image: str, stage: Stage) -> ast.arguments:
    """The arguments of the stage's `run`."""
    return arguments_of(stage.module or f"images.{image}.{stage.run}", "run")


def arguments_of(module: str, name: str) -> ast.arguments:
    """The arguments of a function, read without importing its framework."""
    functions = [node for node in parse_module(module).body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert len(functions) == 1, f"{module} must have one function {name}"
    return functions[0].args


def parse_module(module: str) -> ast.Module:
    """The syntax tree of a module or package."""
    place = ROOT / module.replace(".", "/")
    file = place.with_name(f"{place.name}.py")
    return ast.parse((file if file.exists() else place / "__init__.py").read_text())


def options_of_run(image: str, stage: Stage) -> dict[str, str]:
    """The names of the stage's options and modules, as `run` takes them, and their annotations.

    A `run` that takes `**options` gives them to the Recipe that its module imports.
    """
    arguments = run_of(image, stage)
    annotated = {argument.arg: argument.annotation for argument in arguments.kwonlyargs}
    options = {name: ast.unparse(annotation) if annotation else "" for name, annotation in annotated.items()}
    return options | recipe_fields(stage.module or f"images.{image}.{stage.run}") if arguments.kwarg else options


def recipe_fields(module: str) -> dict[str, str]:
    """The names and annotations of the fields of the Recipe that a module imports."""
    [source] = [
        node.module
        for node in parse_module(module).body
        if isinstance(node, ast.ImportFrom) and node.module and "Recipe" in [alias.name for alias in node.names]
    ]
    [recipe] = [node for node in parse_module(source).body if isinstance(node, ast.ClassDef) and node.name == "Recipe"]
    fields = [node for node in recipe.body if isinstance(node, ast.AnnAssign)]
    return {ast.unparse(field.target): ast.unparse(field.annotation) for field in fields}


def services(image: str) -> dict[str, Any]:
    """Of the Compose file that has the image's service: an optional image brings its own."""
    path = folder(image) / "compose.yaml" if image in declarations.list_optional() else ROOT / "compose.yaml"
    entries: dict[str, Any] = yaml.safe_load(path.read_text())["services"]
    return entries


def requirements(path: Path) -> dict[str, str]:
    """Name to pinned version, as a requirements file has them."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", path.read_text(), re.MULTILINE))


def imports(path: Path) -> set[str]:
    """Top-level packages that a file imports, wherever it does."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module.split(".")[0])
    return modules


@per_image
def test_the_folder_has_its_files_and_is_no_package(image: str) -> None:
    names = {path.name for path in folder(image).iterdir()}
    assert {"Dockerfile", "requirements.in", "requirements.lock", "stages.toml"} <= names
    assert "__init__.py" not in names, "with one, `import torch` can find our folder"


@per_image
def test_the_lock_pins_what_is_asked_for_with_hashes(image: str) -> None:
    asked, locked = (requirements(folder(image) / f"requirements.{kind}") for kind in ("in", "lock"))
    assert asked
    assert asked.items() <= locked.items()
    entries = re.split(r"^(?=\S)", (folder(image) / "requirements.lock").read_text(), flags=re.MULTILINE)
    for entry in filter(None, entries):
        assert re.match(r"[\w.-]+==\S+ .*\\\n    --hash=sha256:[0-9a-f]{64}", entry), entry


@per_image
def test_the_lock_names_no_index(image: str) -> None:
    assert "://" not in (folder(image) / "requirements.lock").read_text()


def test_torch_is_the_cpu_build() -> None:
    locked = requirements(ROOT / "images/torch/requirements.lock")
    assert locked["torch"].endswith("+cpu")
    assert not [name for name in locked if name.startswith(("nvidia", "cuda", "triton"))]


@per_stage
def test_run_takes_the_inputs_the_output_and_the_options(image: str, stage: Stage) -> None:
    arguments = run_of(image, stage)
    names = [argument.arg for argument in arguments.args]
    assert len(names) == len(stage.inputs) + bool(stage.optional) + 1
    assert names[-1] == "out"
    assert not arguments.defaults
    options = set(stage.options) - {stage.repeat}
    assert options_of_run(image, stage).keys() == options | set(stage.modules)
    assert not any(arguments.kw_defaults), "defaults stand in stages.toml, where the driver reads them"


@per_stage
def test_options_have_the_type_that_run_says(image: str, stage: Stage) -> None:
    for name, annotation in options_of_run(image, stage).items():
        if name not in stage.modules:
            assert type(stage.options[name].default) is TYPES[annotation]


PROTOCOLS = {"runtime": ("load", ["variant", "thread_count"]), "computed_bytes": ("per_sample", ["variant", "dataset"])}


@per_stage
def test_the_modules_that_a_shared_stage_is_given_have_what_it_calls(image: str, stage: Stage) -> None:
    """shared/stages/image_modules.py says what."""
    for name, module in stage.modules.items():
        function, arguments = PROTOCOLS[name]
        signature = arguments_of(f"images.{image}.{module}", function)
        assert [argument.arg for argument in signature.args] == arguments


def imports_by_computed_name(path: Path) -> bool:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return any(isinstance(call, ast.Attribute) and call.attr == "import_module" for call in calls)


GIVEN = {  # they import what the plan names: the step's modules, whose code counts for the step
    "shared/runner/process.py",
    "shared/measure/startup.py",
    "shared/emulation/guest.py",
}


@pytest.mark.parametrize(
    "path",
    [path for part in ("shared", "images") for path in sorted(ROOT.glob(f"{part}/**/*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_what_is_imported_by_a_computed_name_is_declared(path: Path) -> None:
    """Else an edit of it would leave results fresh."""
    if imports_by_computed_name(path) and path.relative_to(ROOT).as_posix() not in GIVEN:
        patterns = code_hash.parse_imports(path.read_bytes()).patterns
        assert patterns
        assert all(code_hash.CodeHasher().match(pattern) for pattern in patterns), "each stands for a module"


@per_image
def test_the_image_has_a_compose_service_that_builds_it(image: str) -> None:
    service = services(image)[image]
    assert service["image"] == f"crossquant-{image}"
    assert service["build"]["dockerfile"] == f"images/{image}/Dockerfile"
    assert service["network_mode"] == "none"


@pytest.mark.parametrize("image", declarations.list_optional())
def test_an_optional_service_is_as_locked_down_as_the_others(image: str) -> None:
    own, other = services(image)[image], services("onnx")["onnx"]
    for key in ("user", "read_only", "tmpfs", "cap_drop", "security_opt", "network_mode", "cpuset", "mem_limit"):
        assert own[key] == other[key], key
    assert own["environment"] == other["environment"]
    assert own["volumes"] == [path.replace("/onnx", f"/{image}") for path in other["volumes"]]
    assert services(image)["fetch"]["environment"] == {f"CROSSQUANT_WITH_{image.upper()}": "1"}


@per_image
def test_the_dockerfile_starts_the_one_entrypoint(image: str) -> None:
    text = (folder(image) / "Dockerfile").read_text()
    assert f'ENTRYPOINT ["python", "-m", "shared.stage", "{image}"]' in text
    assert 'CMD ["--keep-going"]' in text
    assert "ARG BASE_IMAGE=python:3.11-slim-bookworm" in text
    assert "# syntax=" not in text, "it would be pulled from a registry"


@pytest.mark.parametrize("path", sorted(ROOT.glob("shared/**/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_shared_imports_the_standard_library_and_numpy_alone(path: Path) -> None:
    assert imports(path) <= set(sys.stdlib_module_names) | {"numpy", "shared"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("driver/**/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_driver_imports_no_framework(path: Path) -> None:
    frameworks = {"tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "onnx2torch", "torch", "images"}
    assert not imports(path) & frameworks


def test_no_service_has_the_docker_socket() -> None:
    services: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    mounts = [mount for service in services.values() for mount in service.get("volumes", [])]
    assert mounts
    assert not [mount for mount in mounts if "docker.sock" in mount or "/var/run" in mount]


def test_only_fetch_has_a_network() -> None:
    services: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert [name for name, service in services.items() if service.get("network_mode") != "none"] == ["fetch"]


def test_a_lock_of_the_driver_pins_the_python_packages_of_ours() -> None:
    asked = {line.split("#")[0].strip() for line in (ROOT / "driver/requirements.in").read_text().splitlines()}
    locked = {name.lower() for name in requirements(ROOT / "driver/requirements.lock")}
    assert {name.lower() for name in asked if name} <= locked


def test_pyproject_and_the_images_agree_on_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.11"
    assert "--python-version 3.11" in (ROOT / "Makefile").read_text()
