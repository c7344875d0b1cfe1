"""Recurrent layers of Keras 2 that ran on cuDNN alone (`CuDNNLSTM`, `CuDNNGRU`), as those that every CPU computes.

Their weights have cuDNN's layout; Keras 2 itself converted them where it loaded them into an LSTM or GRU
(`_convert_rnn_weights` of its `hdf5_format.py`).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from images.keras.model.layer_weights import Rewrite

CLASSES = {"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}
GATES = {"CuDNNLSTM": 4, "CuDNNGRU": 3}
COMPUTES = {"activation": "tanh", "recurrent_activation": "sigmoid"}  # cuDNN has no other activations


def convert_layer(layer: dict[str, Any]) -> None:
    """Rewrite the configuration of such a layer in place; any other stays."""
    kind = layer["class_name"]
    if kind in CLASSES:
        layer["class_name"] = CLASSES[kind]
        layer["config"] |= COMPUTES | ({"reset_after": True} if kind == "CuDNNGRU" else {})


def find_rewrite(kind: str) -> Rewrite | None:
    """The function that rewrites the weights of a layer of this class; None where they stay."""
    return partial(convert_weights, kind) if kind in CLASSES else None


def convert_weights(kind: str, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Kernel (inputs, gates · units), recurrent kernel (units, gates · units) and biases of the layer.

    cuDNN keeps each gate's matrices transposed, and biases of both products: an LSTM adds them, a GRU has both.
    """
    kernel, recurrent, biases = arrays
    kernels = [part.T.reshape(part.shape, order="F") for part in np.hsplit(kernel, GATES[kind])]
    recurrents = [part.T for part in np.hsplit(recurrent, GATES[kind])]
    pair = biases.reshape(2, -1)
    return [np.hstack(kernels), np.hstack(recurrents), pair.sum(axis=0) if kind == "CuDNNLSTM" else pair]
