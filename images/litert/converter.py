"""A Keras model to a LiteRT file, by TensorFlow's converter."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from images.litert import session
from images.litert.source import Source, read
from shared.errors import Unsupported

ENDPOINT = "serve"
REASONS = (
    r"'tf\.(?P<name>\w+)' op (?P<why>[^\n]+)",
    r"(?P<why>quantization not yet supported) for op: '?(?P<name>\w+)'?",
    r"(?P<why>Failed to quantize): .*?(?P<name>\w+)\b",
)

Settings = Callable[[tf.lite.TFLiteConverter, Source], None]


def convert(model: Path, out: Path, settings: Settings = lambda *_: None) -> None:
    """Write `model.tflite`, its inputs called `input_0` … and its outputs `output_0` …, whatever the model calls them.

    Unsupported, with the operator's name, where the converter refuses, and where LiteRT can't run what it made.
    """
    source = read(model)
    with tempfile.TemporaryDirectory() as folder:
        export(source, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[ENDPOINT])
        settings(converter, source)
        try:
            (out / session.FILE).write_bytes(converter.convert())
        except (Exception, SystemExit) as error:  # its phases raise what they like
            raise Unsupported(explain(error)) from error
    session.check_loads(out / session.FILE)


def export(source: Source, folder: str) -> None:
    """A SavedModel with one endpoint, by Keras's own archive.

    Of what `tf.saved_model.save` writes of a Keras 3 model the converter makes a file without its weights, which
    answers anything at all and says nothing.
    """

    def serve(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return {f"output_{number}": tensor for number, tensor in enumerate(source.function(*tensors))}

    archive = keras.export.ExportArchive()
    archive.track(source.owner)
    archive.add_endpoint(ENDPOINT, serve, input_signature=list(source.inputs))
    archive.write_out(folder, verbose=False)


def explain(error: BaseException) -> str:
    """The operator and what is wrong with it, from a report of pages; else its first line."""
    who, text = f"LiteRT's converter ({tf.__version__}) refuses", str(error)
    for pattern in REASONS:
        if found := re.search(pattern, text):
            return f"{who} the operator {found['name']}: {found['why'][:150]}"
    return f"{who}: {(text.strip().splitlines() or [type(error).__name__])[0][:200]}"
