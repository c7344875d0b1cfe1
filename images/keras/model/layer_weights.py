"""Rewrites the weights in an HDF5 file of an early Keras, layer by layer, to what later versions read."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import h5py
import numpy as np

Config = dict[str, Any]
Rewrite = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
FindRewrite = Callable[[str], Rewrite | None]  # by the class of a layer; None where its weights stay


def find_layers(config: Any) -> Iterator[tuple[str, Config]]:
    """The name and the whole of each layer of a model's configuration; of a wrapper, the wrapper's."""
    inner = config.get("config") if isinstance(config, dict) else None
    layers = inner.get("layers") if isinstance(inner, dict) else inner
    for layer in layers if isinstance(layers, list) else ():  # a layer of the user's may call anything its layers
        if isinstance(layer, dict) and "class_name" in layer and isinstance(layer.get("config"), dict):
            yield str(layer["config"].get("name") or layer.get("name")), layer
        yield from find_layers(layer)


def convert_weights(groups: h5py.Group, config: Any, find_rewrite: FindRewrite) -> None:
    """Rewrite the weights of a model in place. `config` is the configuration as it is in the file."""
    for name, layer in find_layers(config):
        if name in groups and (rewrite := find_in_wrapper(layer, find_rewrite)):
            group = groups[name]
            names = list(group.attrs["weight_names"])
            arrays = rewrite([np.asarray(group[item]) for item in names])
            for item in names:
                del group[item]
            group.attrs["weight_names"] = [f"weight_{number}".encode() for number in range(len(arrays))]
            for number, array in enumerate(arrays):
                group.create_dataset(f"weight_{number}", data=array)


def find_in_wrapper(layer: Config, find_rewrite: FindRewrite) -> Rewrite | None:
    """The function that rewrites the weights of a layer, or of the one inside of it; None where they stay."""
    kind = layer["class_name"]
    if kind == "Bidirectional":
        inner = find_in_wrapper(layer["config"]["layer"], find_rewrite)
        return inner and (lambda arrays: [*inner(arrays[: len(arrays) // 2]), *inner(arrays[len(arrays) // 2 :])])
    if kind == "TimeDistributed":
        return find_in_wrapper(layer["config"]["layer"], find_rewrite)
    return find_rewrite(kind)
