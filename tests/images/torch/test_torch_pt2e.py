"""torchao's PT2E in its three forms, each loaded in a fresh process on the given number of threads."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from images.torch import convert, pt2e
from images.torch.runtime import exported, formats, inductor
from shared.errors import CrossquantError
from tests.images import models
from tests.images.torch.stages import answers, defaults

FRESH = """
import sys
from pathlib import Path
import numpy as np
from images.torch.runtime import formats
from shared.runner import threads
folder, answers = map(Path, sys.argv[1:])
model = formats.load(folder, 1)
images = np.load(folder.parent / "input_0.npy")
found = [model((np.ascontiguousarray(images[:count]),))[0] for count in (1, 64, 100, 7)]
with threads.at_most(1, folder.name):
    for _ in range(20):
        model((np.ascontiguousarray(images[:100]),))
np.save(answers, np.concatenate(found))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    np.save(folder / "input_0.npy", models.images(120))
    return models.convolutional(folder)


@pytest.fixture(scope="module")
def shipped(source: Path) -> Callable[[str], Path]:
    """By form, the artifact of the default recipe; made once."""

    @cache
    def make(form: str) -> Path:
        out = source / form
        out.mkdir()
        pt2e.run(source, source, out, **{**defaults("pt2e"), "form": form})
        return out

    return make


@pytest.fixture(scope="module")
def float_answers(source: Path) -> np.ndarray:
    out = source / "float"
    out.mkdir()
    convert.run(source, out)
    images = models.images(120)
    return np.concatenate([answers(out, images[:count]) for count in (1, 64, 100, 7)])


@pytest.mark.parametrize("form", ["exported", "compiled", "aot"])
def test_a_fresh_process_answers_nearly_as_float_to_any_batch(
    form: str, shipped: Callable[[str], Path], float_answers: np.ndarray, tmp_path: Path
):
    folder = shipped(form)
    about = json.loads((folder / formats.QUANTIZED_JSON).read_text())
    assert about == {"form": form, "quantized": 3, "operators": 3, "path": "pt2e"}
    subprocess.run([sys.executable, "-c", FRESH, folder, tmp_path / "answers.npy"], check=True)
    difference = np.abs(np.load(tmp_path / "answers.npy") - float_answers).max()
    assert 0 < difference < 0.05


def test_the_file_has_no_calibration_image(shipped: Callable[[str], Path]):
    """A sample that is a slice would bring all the images that it is cut from."""
    assert (shipped("exported") / exported.FILE).stat().st_size < models.images(120).nbytes


def test_excluded_layers_stay_in_float(source: Path, out: Path):
    settings = {**defaults("pt2e"), "exclude": ["Conv_2"], "exclude_types": ["Linear"]}
    pt2e.run(source, source, out, **settings)
    assert json.loads((out / formats.QUANTIZED_JSON).read_text())["quantized"] == 1


def test_matrix_products_are_quantized_as_linear_layers(source: Path, tmp_path: Path, out: Path):
    """A dense layer without bias is a MatMul, which PT2E leaves in float without an error."""
    graph = models.Graph()
    graph.add("Flatten")
    graph.add("MatMul", graph.weight(192, 8))
    graph.add("Relu")
    graph.add("MatMul", graph.weight(8, 10))
    first, second = (node.name for node in graph.nodes if node.op_type == "MatMul")
    pt2e.run(graph.save(tmp_path), source, out, **defaults("pt2e"))
    assert json.loads((out / formats.QUANTIZED_JSON).read_text()) == {
        "form": "exported",
        "quantized": 2,
        "operators": 2,
        "path": "pt2e-rewritten",
        "rewritten": [f"{first} as a linear layer", f"{second} as a linear layer"],
    }


def test_a_folder_without_execution_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(CrossquantError) as caught:
        inductor.check_executable(tmp_path)
    assert str(caught.value) == f"{tmp_path} forbids to execute its files: mount it with exec (tmpfs /tmp:exec)"


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CrossquantError) as caught:
        inductor.configure_inductor(compiler=True)
    assert str(caught.value) == "Inductor needs a C++ compiler: install g++, or take the form exported"
