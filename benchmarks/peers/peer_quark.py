"""Quantize by Quark: `python peer_quark.py RECIPE MODEL CALIBRATION OUT`.

RECIPE is the name of one of the tool's own configurations. CALIBRATION is a `.npy` file, float32 (images, height,
width, channels). OUT is the file to write.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader
from quark.onnx import ModelQuantizer
from quark.onnx.quantization.config import Config, get_default_config


class Reader(CalibrationDataReader):
    """Image by image, as in the tool's own examples."""

    def __init__(self, images: NDArray[np.float32], name: str) -> None:
        self.waiting = iter([{name: images[index : index + 1]} for index in range(len(images))])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self.waiting, None)


def main() -> None:
    recipe, model, calibration, out = sys.argv[1], *map(Path, sys.argv[2:5])
    reader = Reader(np.load(calibration), onnx.load(model).graph.input[0].name)
    quantizer = ModelQuantizer(Config(global_quant_config=get_default_config(recipe)))
    quantizer.quantize_model(str(model), str(out), reader)


if __name__ == "__main__":
    main()
