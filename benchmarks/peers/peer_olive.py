"""Quantize by Olive: `python peer_olive.py RECIPE MODEL CALIBRATION OUT`.

CALIBRATION is a `.npy` file, float32 (images, height, width, channels). OUT is the file to write.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"  # before the import

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from olive.data.registry import Registry
from olive.workflows import run

RECIPES = {
    "u8s8": {"activation_type": "uint8", "precision": "int8"},
    "u8s8-per-channel": {"activation_type": "uint8", "precision": "int8", "per_channel": True},
}


class Images(torch.utils.data.Dataset[tuple[dict[str, NDArray[np.float32]], int]]):
    """Image by image; the second of a pair would be its label, which calibration doesn't look at."""

    def __init__(self, images: NDArray[np.float32], name: str) -> None:
        self.images, self.name = images, name

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[dict[str, NDArray[np.float32]], int]:
        return {self.name: self.images[index]}, 0


@Registry.register_dataset("calibration_images")
def calibration_images(data_name: str, input_name: str, **_: Any) -> Images:
    return Images(np.load(data_name), input_name)


def settings(recipe: str, model: Path, calibration: Path, folder: Path) -> dict[str, Any]:
    """The configuration file of `olive run`, as a dictionary."""
    source = {"data_name": str(calibration), "input_name": onnx.load(model).graph.input[0].name}
    data = {
        "name": "calibration",
        "load_dataset_config": {"type": "calibration_images", "params": source},
        "dataloader_config": {"params": {"batch_size": 1}},
    }
    return {
        "input_model": {"type": "ONNXModel", "model_path": str(model)},
        "data_configs": [data],
        "passes": {"quantize": {"type": "OnnxStaticQuantization", "data_config": "calibration", **RECIPES[recipe]}},
        "output_dir": str(folder / "out"),
        "cache_dir": str(folder / "cache"),  # of this run alone: a kept one doesn't notice other calibration images
    }


def main() -> None:
    recipe, model, calibration, out = sys.argv[1], *map(Path, sys.argv[2:5])
    with tempfile.TemporaryDirectory() as folder:
        result = run(settings(recipe, model, calibration, Path(folder)))
        shutil.copyfile(result.get_best_candidate().model_path, out)


if __name__ == "__main__":
    main()
