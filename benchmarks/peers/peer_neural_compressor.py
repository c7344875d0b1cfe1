"""Quantize by onnx-neural-compressor: `python peer_neural_compressor.py RECIPE MODEL CALIBRATION OUT`.

CALIBRATION is a `.npy` file, float32 (images, height, width, channels). OUT is one file: the tool puts
the weights into a second one beside it, in silence, which are taken back in.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx_neural_compressor import data_reader
from onnx_neural_compressor.quantization import QuantFormat, QuantType, config, quantize

FORMATS = {"qdq": QuantFormat.QDQ, "qoperator": QuantFormat.QOperator}


class Reader(data_reader.CalibrationDataReader):
    """Image by image, as in the tool's own examples."""

    def __init__(self, images: NDArray[np.float32], name: str) -> None:
        self.images, self.name = images, name
        self.rewind()

    def rewind(self) -> None:
        self.waiting = iter(range(len(self.images)))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        index = next(self.waiting, None)
        return None if index is None else {self.name: self.images[index : index + 1]}


def main() -> None:
    recipe, model, calibration, out = sys.argv[1], *map(Path, sys.argv[2:5])
    images = np.load(calibration)
    settings = config.StaticQuantConfig(
        Reader(images, onnx.load(model).graph.input[0].name),
        quant_format=FORMATS[recipe],
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        calibration_sampling_size=len(images),  # its default reads the first 100 and no more
    )
    with tempfile.TemporaryDirectory() as folder:
        quantize(str(model), str(Path(folder, "model.onnx")), settings)
        onnx.save(onnx.load(Path(folder, "model.onnx")), out)


if __name__ == "__main__":
    main()
