"""One image's part of the chain for model after model: `python -m tests.random_models.worker IMAGE`.

It runs in the image's own environment. A line of standard input is a folder; the answer is a line of JSON, `{"status",
"reason"}`, when the image's part is done there. The float answers are `answers.IMAGE.npz`.
"""

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from shared.data import samples
from shared.errors import CrossquantError, Unsupported
from shared.runner import threads
from tests.images import declared

RUNTIMES = {
    "keras": "images.keras.model.runtime",
    "onnx": "images.onnx.session",
    "torch": "images.torch.runtime.formats",
}
OK = {"status": "ok", "reason": ""}
# The stages of each image: (stage, its inputs, its output).
STAGES: dict[str, tuple[tuple[str, tuple[str, ...], str], ...]] = {
    "keras": (("load", ("input.model", "dataset"), "keras.fp32"), ("export", ("keras.fp32", "dataset"), "exported")),
    "onnx": (("fold_batchnorm", ("exported",), "onnx.fp32"),),
    "torch": (("convert", ("onnx.fp32",), "torch.fp32"),),
}


def list_actions(image: str, folder: Path) -> list[Callable[[], object]]:
    """What the image does with the model in `folder`, each to be done in a process of its own, as stages are."""
    actions: list[Callable[[], object]] = []
    if image == "keras":
        actions.append(partial(make_model, folder))
    for stage, inputs, output in STAGES[image]:
        actions.append(partial(run_stage, image, stage, [folder / name for name in (*inputs, output)]))
    return [*actions, partial(answer, image, folder)]


def make_model(folder: Path) -> None:
    spec = json.loads((folder / "spec.json").read_text())
    importlib.import_module("tests.random_models.build").write_model(spec, folder)


def run_stage(image: str, stage: str, paths: Sequence[Path]) -> None:
    paths[-1].mkdir()
    declared.call(image, stage, *paths)


def answer(image: str, folder: Path) -> None:
    model = importlib.import_module(RUNTIMES[image]).load(folder / f"{image}.fp32", 1)
    np.savez(folder / f"answers.{image}.npz", *model(samples.take(folder / "dataset", slice(None))))


def do_in_fork(action: Callable[[], object]) -> dict[str, Any]:
    """Do it in a fork of this process, and return what became of it."""
    readable, writable = os.pipe()
    child = os.fork()
    if not child:
        with os.fdopen(writable, "w") as pipe:
            pipe.write(json.dumps(do(action)))
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"status": "failed", "reason": "the process died"}


def do(action: Callable[[], object]) -> dict[str, Any]:
    try:
        action()
    except Unsupported as error:
        return {"status": "unsupported", "reason": str(error)}
    except CrossquantError as error:
        return {"status": "refused", "reason": str(error)}
    except BaseException:  # noqa: BLE001 - all of it is to be seen in the test
        return {"status": "failed", "reason": traceback.format_exc()}
    return OK


def work(image: str, folder: Path) -> dict[str, Any]:
    """Do all of the image's actions, up to the first that isn't done."""
    for action in list_actions(image, folder):
        if (result := do_in_fork(action)) != OK:
            return result
    return OK


def main(image: str) -> None:
    threads.limit(1)
    for stage, _, _ in STAGES[image]:
        importlib.import_module(declared.entry(image, stage))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what frameworks print is no answer
    for line in sys.stdin:
        print(json.dumps(work(image, Path(line.strip()))), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
