"""Convert the Keras model to LiteRT, in float."""

from pathlib import Path

from images.litert.tflite_converter import convert


def run(model: Path, out: Path) -> None:
    """Write `model.tflite`. Unsupported where the converter refuses the model, or LiteRT can't run the file."""
    convert(model, out)
