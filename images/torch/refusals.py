"""Turns whatever PyTorch raises for a model into Unsupported."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from shared.errors import CrossquantError, Unsupported
from shared.refusals import describe_error

PACKAGES = ("torch", "torchao", "onnx2torch")
INSTALLED = Path(torch.__file__).parents[1]  # this image's own folder is called torch too
OUT_OF_MEMORY = "can't allocate memory"
DISK = ("inline_container", "PytorchStreamWriter", "Parent directory")  # where PyTorch writes files


@contextmanager
def refusals(what: str, module: torch.nn.Module | None = None) -> Iterator[None]:
    """Raise Unsupported, "`what`: message", for whatever is raised inside of PyTorch, torchao or onnx2torch.

    The layer of `module` that was called is named. An exception is passed on unchanged if none of their functions was
    running: it is an error in our code. So are those that tell the user what to fix, and those that have nothing to do
    with the model: memory, the disk.
    """
    try:
        yield
    except (CrossquantError, MemoryError, OSError):
        raise
    except Exception as error:
        if OUT_OF_MEMORY in str(error):  # PyTorch raises RuntimeError for these too
            raise MemoryError(describe_error(error)) from error
        if any(place in str(error) for place in DISK):
            raise OSError(describe_error(error)) from error
        if not is_raised_by_pytorch(error):
            raise
        where = "" if module is None else describe_failed_layer(error, module)
        raise Unsupported(f"{what}{where}: {describe_error(error)}") from error


def is_raised_by_pytorch(error: BaseException) -> bool:
    """Was a function of PyTorch or of a package on top of it running when the exception was raised?"""
    files = [Path(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(file.is_relative_to(INSTALLED / package) for file in files for package in PACKAGES)


def describe_failed_layer(error: BaseException, module: torch.nn.Module) -> str:
    """Name the last module that was called before the error; "" if there is none."""
    names = {id(item): name for name, item in module.named_modules() if name}
    called = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    modules = [item for item in called if id(item) in names]
    return f" at layer '{names[id(modules[-1])]}' ({type(modules[-1]).__name__})" if modules else ""
