"""Turns what a framework raises for a model into Unsupported; an error in our own code stays a failure."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import CrossquantError, Unsupported

LONGEST = 300  # characters of a framework's message


@contextmanager
def refusals(what: str, *packages: str) -> Iterator[None]:
    """Raise Unsupported, "`what`: message", for whatever is raised inside of one of these packages.

    An exception is passed on unchanged if none of their functions was running: it is an error in our code. So are those
    that tell the user what to fix, and those that have nothing to do with the model: memory, the disk.
    """
    try:
        yield
    except (CrossquantError, MemoryError, OSError):
        raise
    except Exception as error:
        if not is_raised_within(error, packages):
            raise
        raise Unsupported(f"{what}{describe_operator(error)}: {describe_error(error)}") from error


def is_raised_within(error: BaseException, packages: tuple[str, ...]) -> bool:
    """Was a function of one of these packages running when the exception was raised?"""
    files = [Path(frame.f_code.co_filename).parts for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(package in parts for parts in files for package in packages)


def describe_operator(error: BaseException) -> str:
    """Name the ONNX operator that was processed, as " at Gemm 'dense'"; "" if there was none."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        # Only arguments: a loop's variable may be left from an earlier turn.
        arguments = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        candidates = [frame.f_locals.get(name) for name in ("onnx_node", "node", "self") if name in arguments]
        for item in (*candidates, *(getattr(candidate, "node", None) for candidate in candidates)):
            op_type = getattr(item, "op_type", None) or getattr(item, "operation_type", None)
            if isinstance(op_type, str) and op_type:
                return f" at {op_type} '{getattr(item, 'name', '')}'"
    return ""


def describe_error(error: BaseException) -> str:
    """Return the first line of the message, after the exception's type if the line alone would not be a sentence."""
    first = (str(error).strip().splitlines() or [""])[0][:LONGEST]
    if isinstance(error, NotImplementedError | RuntimeError | ValueError) and len(first.split()) > 2:
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
