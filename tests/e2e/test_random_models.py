"""Random Keras models end in equal float answers in every image, or in a refusal that says what can't be converted."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from driver.engines.venv import ensure_environment
from shared.artifacts.store import ROOT
from tests.random_models import grammar

IMAGES = ("keras", "onnx", "torch")
FEW, MANY = 8, int(os.environ.get("CROSSQUANT_RANDOM_MODELS", "300"))
SEED = int(os.environ.get("CROSSQUANT_SEED", "1"))
TOLERANCE = 1e-4  # of the largest answer
OPTIONS: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.generate, Phase.shrink),
}


class Workers:
    """A process for each image, which works on folder after folder."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.processes = {image: stack.enter_context(self.start(image)) for image in IMAGES}

    def start(self, image: str) -> "subprocess.Popen[str]":
        command = [str(ensure_environment(image)), "-m", "tests.random_models.worker", image]
        log = (self.folder / f"{image}.log").open("w")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with log:
            return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)

    def run(self, spec: grammar.Spec) -> dict[str, dict[str, str]]:
        """What became of the model in each image, up to the first that doesn't carry it; the answers are compared."""
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        (folder / "spec.json").write_text(json.dumps(spec))
        outcomes: dict[str, dict[str, str]] = {}
        for image, process in self.processes.items():
            assert process.stdin is not None
            assert process.stdout is not None
            print(folder, file=process.stdin, flush=True)
            outcomes[image] = json.loads(process.stdout.readline() or '{"status": "failed", "reason": "it died"}')
            if outcomes[image]["status"] != "ok":
                break
        compare_answers(folder, [image for image in outcomes if (folder / f"answers.{image}.npz").exists()])
        shutil.rmtree(folder)
        return outcomes


def compare_answers(folder: Path, images: list[str]) -> None:
    """Fail where an image answers otherwise than Keras."""
    answers = {}
    for image in images:
        with np.load(folder / f"answers.{image}.npz") as arrays:
            answers[image] = list(arrays.values())
    for image, arrays in answers.items():
        assert len(arrays) == len(answers["keras"])
        for output, expected in zip(arrays, answers["keras"], strict=True):
            difference = np.abs(output - expected).max()
            assert difference <= TOLERANCE * max(np.abs(expected).max(), 1e-6), f"{image} is off by {difference}"


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    with ExitStack() as stack:
        yield Workers(stack, tmp_path_factory.mktemp("random models"))


def check_model(workers: Workers, spec: grammar.Spec) -> None:
    for image, outcome in workers.run(spec).items():
        assert outcome["status"] in ("ok", "unsupported"), f"{image}: {outcome['reason']}"
        assert outcome["status"] == "ok" or "Traceback" not in outcome["reason"]


@seed(1)
@settings(max_examples=FEW, **OPTIONS)
@given(spec=grammar.models())
def test_a_few_random_models(workers: Workers, spec: grammar.Spec) -> None:
    check_model(workers, spec)


@pytest.mark.long
@seed(SEED)
@settings(max_examples=MANY, **OPTIONS)
@given(spec=grammar.models())
def test_many_random_models(workers: Workers, spec: grammar.Spec) -> None:
    check_model(workers, spec)
