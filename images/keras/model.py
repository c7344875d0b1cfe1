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
    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    graph = tf.function(lambda x: model(x, training=False), input_signature=[signature])
    return lambda images: graph(tf.constant(images)).numpy()
