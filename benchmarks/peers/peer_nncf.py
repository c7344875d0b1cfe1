"""Quantize by NNCF: `python peer_nncf.py RECIPE MODEL CALIBRATION OUT HELD_OUT`.

CALIBRATION is a `.npy` file, float32 (images, height, width, channels). HELD_OUT is an `.npz` file of other training
images (`images`, `labels`), at which only the recipe `accuracy-control` looks. OUT is the file to write.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import nncf
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

Item = tuple[dict[str, NDArray[np.float32]], int]
LARGEST_DROP = 0.001  # of the accuracy on the held-out images; with its default, 0.01, it never steps in here


def images_one_by_one(images: NDArray[np.float32], name: str) -> nncf.Dataset:
    """As in the tool's own examples: it takes its statistics over the first axis too."""
    return nncf.Dataset([{name: images[index : index + 1]} for index in range(len(images))])


def accuracy(model: onnx.ModelProto, items: Iterable[Item]) -> tuple[float, list[float]]:
    """The share of right answers (0-1), and each answer's own, by which the tool ranks the layers."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    right = [float(session.run(None, feed)[0].argmax() == label) for feed, label in items]
    return float(np.mean(right)), right


def quantize(model: onnx.ModelProto, images: NDArray[np.float32], held_out: Path, recipe: str) -> onnx.ModelProto:
    name = model.graph.input[0].name
    calibration = images_one_by_one(images, name)
    if recipe == "default":
        return nncf.quantize(model, calibration, subset_size=len(images))
    if recipe != "accuracy-control":
        raise SystemExit(f"no recipe '{recipe}'")
    with np.load(held_out) as kept:
        held_images, labels = kept["images"], kept["labels"]
    items = [({name: held_images[index : index + 1]}, int(label)) for index, label in enumerate(labels)]
    validation = nncf.Dataset(items)
    return nncf.quantize_with_accuracy_control(
        model, calibration, validation, accuracy, max_drop=LARGEST_DROP, subset_size=len(images)
    )


def main() -> None:
    recipe, model, calibration, out, held_out = sys.argv[1], *map(Path, sys.argv[2:6])
    onnx.save(quantize(onnx.load(model), np.load(calibration), held_out, recipe), out)


if __name__ == "__main__":
    main()
