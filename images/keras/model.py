"""A Keras model as a callable."""

from pathlib import Path

import keras
import tensorflow as tf

from shared import threads
from shared.predictions import Model

FILE = "model.keras"


def load(variant: Path, thread_count: int) -> Model:
    """The model in `variant` on `thread_count` threads: a traced graph, as TensorFlow serves it.

    TensorFlow fixes its threads with the first operator that a process runs: call this before any.
    """
    tf.config.threading.set_intra_op_parallelism_threads(thread_count)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras.models.load_model(variant / FILE, compile=False)
    answered = tf.config.threading.get_intra_op_parallelism_threads()
    threads.check("TensorFlow", thread_count, answered)
    call = keras.Model(model.inputs, model.outputs)  # whatever its structure, it takes and gives a list
    signature = [tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in call.inputs]
    graph = tf.function(lambda *batch: call(list(batch), training=False), input_signature=signature)
    return lambda batch: tuple(answer.numpy() for answer in graph(*map(tf.constant, batch)))
