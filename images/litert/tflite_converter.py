"""Converts a Keras model to a LiteRT file, with TensorFlow's converter."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from images.litert import session
from images.litert.keras_source import KerasSource, read_model
from shared.errors import Unsupported
from shared.text import first_line

ENDPOINT = "serve"
# How TensorFlow 2.21.0 names an operator that LiteRT lacks, in a report of many pages.
LACKING_OPERATOR = re.compile(r"'tf\.(?P<name>\w+)' op (?P<reason>[^\n]+)")

Configure = Callable[[tf.lite.TFLiteConverter, KerasSource], None]


def convert(model: Path, out: Path, configure: Configure = lambda *_: None) -> None:
    """Write `model.tflite`, with inputs called `input_0` … and outputs called `output_0` …

    `configure` sets options of the converter. Unsupported, with the operator's name, where the converter refuses the
    model, and where LiteRT can't run the file.
    """
    source = read_model(model)
    with tempfile.TemporaryDirectory() as folder:
        export(source, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[ENDPOINT])
        configure(converter, source)
        try:
            (out / session.FILE).write_bytes(converter.convert())
        except (Exception, SystemExit) as error:  # the converter may raise anything
            raise Unsupported(explain_error(error)) from error
    session.check_loads(out / session.FILE)


def export(source: KerasSource, folder: str) -> None:
    """Write a SavedModel with one endpoint, by Keras's own archive.

    Where `tf.saved_model.save` writes a Keras 3 model, the converter loses its weights without an error.
    """

    def serve(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return {f"output_{number}": tensor for number, tensor in enumerate(source.function(*tensors))}

    archive = keras.export.ExportArchive()
    archive.track(source.variables_owner)
    archive.add_endpoint(ENDPOINT, serve, input_signature=list(source.inputs))
    archive.write_out(folder, verbose=False)


def explain_error(error: BaseException) -> str:
    """Return one line: the operator that LiteRT lacks, and the reason, or else the message's first line."""
    prefix = f"LiteRT's converter ({tf.__version__}) refuses"
    if match := LACKING_OPERATOR.search(str(error)):
        return f"{prefix} the operator {match['name']}: {match['reason'][:150]}"
    return f"{prefix}: {first_line(error, 200)}"
