"""Valid ONNX files of every odd kind through the images: answers equal to ONNX Runtime's on the user's own file, or a
reason that names the operator; never a raw error of Python's, and never a wrong answer.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import docker_lack
from test_zoo import in_container, in_environment

from shared.artifacts.store import ROOT

IMAGES = ("onnx", "torch", "openvino")
OPTIONAL = "openvino"  # only in its environment: its image is built where somebody asks for it
FLOAT, EIGHT_BITS = 1e-4, 0.25  # of the largest answer; 8 bits of one sample after a few layers of random weights


@dataclass(frozen=True)
class Outcome:
    """What one step made of one graph."""

    graph: str
    folder: Path
    step: str
    said: str

    def __str__(self) -> str:
        return f"{self.graph}, {self.step}: {self.said.strip()[-400:]}"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    folder = tmp_path_factory.mktemp("odd")
    results = []
    for image in IMAGES:
        apart = docker_lack() or image == OPTIONAL
        command = (in_environment if apart else in_container)(image, folder, "tests.odd.chain")
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        for graph, steps in json.loads((folder / f"{image}.json").read_text()).items():
            results += [Outcome(graph, folder / graph, step, text) for step, text in steps.items()]
    return results


def test_no_graph_ends_in_a_raw_error(outcomes: list[Outcome]) -> None:
    refused = {"strings", "random", "dropout-on"}
    wrong = [
        str(one)
        for one in outcomes
        if one.said.startswith("failed") and not (one.graph in refused and one.step == "exported" and why(one))
    ]
    assert not wrong
    assert {one.graph for one in outcomes if one.said.startswith("failed")} == refused


def why(outcome: Outcome) -> bool:
    """Is it the one line that the graph should be refused with?"""
    last = outcome.said.strip().splitlines()[-1]
    return "CrossquantError: " in last and (outcome.folder / "refused.txt").read_text() in last


def test_what_is_unsupported_names_what_it_is(outcomes: list[Outcome]) -> None:
    """One of the graph's own operators, the batch that a file or a trace holds, or the tensor that has no type."""
    features = ("batch of", "batches of", "weight_name=")
    wrong = [
        str(one)
        for one in outcomes
        if one.said.startswith("unsupported") and not any(word in one.said for word in (*operators(one), *features))
    ]
    assert not wrong


def operators(outcome: Outcome) -> list[str]:
    names: list[str] = json.loads((outcome.folder / "operators.json").read_text())
    return names


def test_every_answer_is_onnx_runtimes_own(outcomes: list[Outcome]) -> None:
    wrong = [f"{one.graph}, {one.step}: off by {off:.3g}" for one, off in compared(outcomes) if off > limit(one.step)]
    assert not wrong


def compared(outcomes: list[Outcome]) -> Iterator[tuple[Outcome, float]]:
    """Each prediction with its greatest error, by the greatest answer; infinite where the shapes differ."""
    for one in outcomes:
        if one.step.startswith("predictions.") and one.said == "ok":
            references = sorted(one.folder.glob("reference_*.npy"))
            assert references
            for number, path in enumerate(references):
                wanted, answers = np.load(path).astype("f8"), np.load(one.folder / one.step / f"output_{number}.npy")
                same = answers.shape == wanted.shape
                yield one, float(np.abs(answers - wanted).max() / np.abs(wanted).max()) if same else np.inf


def limit(step: str) -> float:
    return FLOAT if step.endswith("fp32") else EIGHT_BITS


def test_most_graphs_come_all_the_way(outcomes: list[Outcome]) -> None:
    """A chain that refused everything would pass the tests above."""
    for variant, least in (("onnx.fp32", 0.95), ("torch.fp32", 0.7), ("onnx.int8", 0.8), ("torch.int8", 0.6)):
        texts = [one.said for one in outcomes if one.step == variant]
        assert sum(text == "ok" for text in texts) >= least * len(texts), variant
