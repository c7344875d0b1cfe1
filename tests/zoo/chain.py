"""All of the zoo through one image: `python -m tests.zoo.chain IMAGE FOLDER`, in the image's own environment.

The stages are the image's own, with the options of its stages.toml, each in a fork as the runner has them. FOLDER gets
an artifact a step, below the model's name, and `IMAGE.json`: for each model, what became of each step.
"""

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import Unsupported
from shared.measure.instructions import this_cpu
from shared.runner import threads
from tests.images import declared
from tests.zoo.names import NAMES

# Where products of 8 bits saturate it is weights of 7 bits that are sound: the quantizer is tested here, not the CPU.
U8S8 = {"activation": "uint8", "weight": "int8", "per_channel": True, "reduce_range": this_cpu().saturates}


@dataclass(frozen=True)
class Step:
    """The stage `run` makes `output` of `inputs`, which are artifacts; recipes are `options` beyond the defaults."""

    run: str
    output: str
    inputs: tuple[str, ...]
    options: dict[str, Any] | None = None

    def __call__(self, image: str, folder: Path) -> None:
        (folder / self.output).mkdir()
        paths = (folder / name for name in (*self.inputs, self.output))
        declared.call(image, self.run, *paths, **(self.options or {}))


def predicted(variant: str) -> Step:
    return Step("predict", f"predictions.{variant}", (variant, "dataset"))


STEPS = {
    "keras": (
        Step("load", "keras.fp32", ("input.model", "dataset")),
        Step("export", "exported", ("keras.fp32", "dataset")),
        predicted("keras.fp32"),
    ),
    "onnx": (
        Step("fold_batchnorm", "onnx.fp32", ("exported",)),
        predicted("onnx.fp32"),
        Step("quantize", "onnx.int8", ("onnx.fp32", "exported", "calibration"), U8S8),
        predicted("onnx.int8"),
        Step("dynamic", "onnx.dynamic", ("onnx.fp32",)),
        predicted("onnx.dynamic"),
    ),
    "torch": (
        Step("convert", "torch.fp32", ("onnx.fp32",)),
        predicted("torch.fp32"),
        Step("quantize", "torch.int8", ("onnx.fp32", "calibration")),
        predicted("torch.int8"),
        Step("pt2e", "torch.pt2e", ("onnx.fp32", "calibration")),
        predicted("torch.pt2e"),
    ),
}


def forked(action: Callable[[], None]) -> str:
    """Do it in a fork, as the runner does: threads and settings are a process's. What it said, "ok" where nothing."""
    readable, writable = os.pipe()
    child = os.fork()
    if not child:
        os.close(readable)
        with os.fdopen(writable, "w") as pipe:
            pipe.write(outcome(action))
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        message = pipe.read()
    os.waitpid(child, 0)
    return message or "failed: the process died"


def outcome(action: Callable[[], None]) -> str:
    try:
        action()
    except Unsupported as error:
        return f"unsupported: {error}"
    except BaseException:  # noqa: BLE001 - the end of a process: all of it is to be seen in the test
        return f"failed: {traceback.format_exc()}"
    return "ok"


def through(image: str, folder: Path) -> dict[str, str]:
    """What became of each step; one whose model isn't there is left out."""
    outcomes = {}
    for step in STEPS[image]:
        if step.run != "predict" or outcomes.get(step.inputs[0]) == "ok":
            outcomes[step.output] = forked(lambda step=step: step(image, folder))
    return outcomes


def main(image: str, target: str) -> None:
    threads.limit(1)
    for step in STEPS[image]:
        importlib.import_module(declared.entry(image, step.run))
        declared.modules(image, step.run)
    outcomes = {}
    for name in NAMES:
        folder = Path(target) / name
        state = "ok"
        if image == "keras":
            folder.mkdir()
            state = forked(lambda folder=folder: importlib.import_module("tests.zoo.made").make(folder))
        outcomes[name] = through(image, folder) if state == "ok" else {"input.model": state}
    (Path(target) / f"{image}.json").write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
