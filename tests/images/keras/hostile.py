"""Model files that name what they must not: a plain model with an edited configuration."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
from keras import layers

Config = dict[str, Any]


def plain() -> keras.Model:
    """Three numbers, then a layer 'odd' that does nothing, then two numbers."""
    inputs = keras.Input((3,), name="x")
    return keras.Model(inputs, layers.Dense(2, name="last")(layers.Identity(name="odd")(inputs)))


def archive(path: Path, change: Callable[[Config], None], model: keras.Model | None = None) -> Path:
    """A .keras file of `plain`, with its configuration passed through `change`."""
    whole = path.with_name("whole.keras")
    (model or plain()).save(whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            target.writestr(name, content)
    whole.unlink()
    return path


def hdf5(path: Path, change: Callable[[Config], None], version: str = "2.8.0") -> Path:
    """The same as an HDF5 file, which says that this version of Keras wrote it."""
    plain().save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = version
    return path


def layer(config: Config, name: str = "odd") -> Config:
    return next(item for item in config["config"]["layers"] if item["config"]["name"] == name)


def class_of(module: str | None, kind: Any, /, **settings: Any) -> Callable[[Config], None]:
    """The layer 'odd' is of another class."""

    def change(config: Config) -> None:
        edited = layer(config)
        edited.update(module=module, class_name=kind, registered_name=None)
        edited["config"] = {"name": "odd", **settings}

    return change


def function(module: str | None, name: Any) -> Config:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def calling(module: str | None, name: Any, /, **arguments: Any) -> Callable[[Config], None]:
    """The layer 'odd' is a Lambda layer of a named function."""
    return class_of("keras.layers", "Lambda", function=function(module, name), arguments=arguments)


def setting(key: str, value: Any) -> Callable[[Config], None]:
    """A setting of the layer 'last', such as its activation."""

    def change(config: Config) -> None:
        layer(config, "last")["config"][key] = value

    return change
