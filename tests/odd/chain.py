"""Odd graphs through one image: `python -m tests.odd.chain IMAGE FOLDER [NAME…]`, in the image's own environment.

FOLDER gets, below each graph's name, the user's file and samples, ONNX Runtime's answers from that very file, and an
artifact a step; and `IMAGE.json`: for each graph, what became of each step. A name that is a number is a drawn graph.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from shared.runner import threads
from tests.images import declared
from tests.zoo.chain import Step, forked, predicted

# 7 bits: without VNNI, products of 8 bits saturate
U8S8 = {"activation": "uint8", "weight": "int8", "per_channel": True, "reduce_range": True}
SEEDS = 8
IN_8_BITS = ("gemm", "clip", "if-data", "loop-known", "conv-empty", "layer-norm-axis", "contributed-matmul", "sequence")
FLOAT = {
    "onnx": (
        Step("import_model", "exported", ("input.model", "dataset")),
        Step("fold_batchnorm", "onnx.fp32", ("exported",)),
        predicted("onnx.fp32"),
    ),
    "torch": (Step("convert", "torch.fp32", ("onnx.fp32",)), predicted("torch.fp32")),
    "openvino": (Step("convert", "openvino.fp32", ("onnx.fp32",)), predicted("openvino.fp32")),
}
QUANTIZED = {
    "onnx": (
        Step("quantize", "onnx.int8", ("onnx.fp32", "exported", "calibration"), U8S8),
        predicted("onnx.int8"),
        Step("dynamic", "onnx.dynamic", ("onnx.fp32",), {"weight": "uint8"}),
        predicted("onnx.dynamic"),
    ),
    "torch": (Step("quantize", "torch.int8", ("onnx.fp32", "calibration")), predicted("torch.int8")),
    "openvino": (),
}
PT2E = (Step("pt2e", "torch.pt2e", ("onnx.fp32", "calibration")), predicted("torch.pt2e"))


def steps(image: str, name: str) -> tuple[Step, ...]:
    """All for the drawn graphs; of the others, what takes longer only for those that it is about."""
    about = name.startswith(IN_8_BITS) if image == "onnx" else False
    quantized = QUANTIZED[image] if about or name.isdigit() else ()
    return (*FLOAT[image], *quantized, *(PT2E if image == "torch" and name in ("0", "tokens-int64") else ()))


def write(name: str, folder: Path) -> None:
    """The user's file and samples, and the reference."""
    import onnx  # noqa: PLC0415 - not every image has it

    from tests.odd import drawn, graphs  # noqa: PLC0415

    case = drawn.draw(int(name)) if name.isdigit() else graphs.CASES[name]()
    for part in ("input.model", "dataset", "calibration"):
        (folder / part).mkdir(parents=True)
    path = folder / "input.model" / "my.onnx"
    if case.external:
        onnx.save(case.model, path, save_as_external_data=True, location="my.data", size_threshold=0)
    else:
        onnx.save(case.model, path)
    for part in ("dataset", "calibration"):
        for number, array in enumerate(case.inputs):
            np.save(folder / part / f"input_{number}.npy", array)
        (folder / part / "about.json").write_text('{"task": "fidelity"}')
    (folder / "refused.txt").write_text(case.refused)
    kinds = sorted({node.op_type for graph in graphs_in(case.model.graph) for node in graph.node})
    (folder / "operators.json").write_text(json.dumps(kinds))
    if not case.refused:
        for number, answer in enumerate(reference(path, case.inputs)):
            np.save(folder / f"reference_{number}.npy", answer)


def graphs_in(graph: Any) -> Iterator[Any]:
    """`graph` and those inside of its nodes."""
    yield graph
    for node in graph.node:
        for item in node.attribute:
            if item.HasField("g"):
                yield from graphs_in(item.g)


def reference(path: Path, inputs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """ONNX Runtime's answers, in the largest batches that the file takes."""
    from images.onnx import session  # noqa: PLC0415 - the other images haven't got it

    opened, total = session.open_session(path, 1), len(inputs[0])
    for size in (total, 4, 2, 1):
        batches = [tuple(array[start : start + size] for array in inputs) for start in range(0, total, size)]
        try:
            parts = [opened.run(None, session.build_feed(opened, batch)) for batch in batches]
        except session.RUNTIME_ERRORS:
            continue
        if all(len(part[0]) == size for part in parts):
            return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
    raise ValueError(f"{path} takes none of these batches")


def through(image: str, name: str, folder: Path) -> dict[str, str]:
    """What became of each step; one of which an input isn't there is left out."""
    outcomes: dict[str, str] = {}
    for step in steps(image, name):
        there = all((folder / name).exists() and outcomes.get(name, "ok") == "ok" for name in step.inputs)
        if there:
            outcomes[step.output] = forked(lambda step=step: step(image, folder))
        if there and outcomes[step.output] != "ok":
            (folder / step.output).rename(folder / f"{step.output}.refused")
    return outcomes


def every(image: str, target: Path) -> list[str]:
    """All graphs; for the images behind the first one, those that it made."""
    if image != "onnx":
        return sorted(path.parent.name for path in target.glob("*/operators.json"))
    from tests.odd import graphs  # noqa: PLC0415 - not every image has ONNX

    return [*graphs.CASES, *map(str, range(SEEDS))]


def main(image: str, target: str, *names: str) -> None:
    threads.limit(1)
    for step in (*FLOAT[image], *QUANTIZED[image]):
        importlib.import_module(declared.entry(image, step.run))
    outcomes = {}
    for name in names or every(image, Path(target)):
        folder, outcome = Path(target) / name, "ok"
        if image == "onnx":
            outcome = forked(lambda name=name, folder=folder: write(name, folder))
        outcomes[name] = through(image, name, folder) if outcome == "ok" else {"input.model": outcome}
    (Path(target) / f"{image}.json").write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
