"""Keras to LiteRT, in float."""

from pathlib import Path

from images.litert.converter import convert


def run(model: Path, out: Path) -> None:
    """Write `model.tflite`."""
    convert(model, out)
