"""What a framework raises for a model that it can't carry, in its own words; what is our own fault stays a failure."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import CrossquantError, Unsupported

LONGEST = 300  # characters of the framework's words


@contextmanager
def refusals(what: str, *packages: str) -> Iterator[None]:
    """Raise Unsupported, "`what`: words", for whatever is raised inside of one of these packages.

    An exception that none of their functions was part of is a fault of ours, and goes on as it is; so do the ones that
    say what the user can mend, and what has nothing to do with the model: memory, the disk.
    """
    try:
        yield
    except (CrossquantError, MemoryError, OSError):
        raise
    except Exception as error:
        if not within(error, packages):
            raise
        raise Unsupported(f"{what}{operator(error)}: {words(error)}") from error


def within(error: BaseException, packages: tuple[str, ...]) -> bool:
    """Was a function of one of these packages running when it was raised?"""
    files = [Path(frame.f_code.co_filename).parts for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(package in parts for parts in files for package in packages)


def operator(error: BaseException) -> str:
    """The ONNX operator that was looked at, as " at Gemm 'dense'"; "" where none is known, or the words say it."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        taken = frame.f_code.co_varnames[: frame.f_code.co_argcount]  # a loop's variable may be of the turn before
        held = [frame.f_locals.get(name) for name in ("onnx_node", "node", "self") if name in taken]
        for item in (*held, *(getattr(one, "node", None) for one in held)):
            kind = getattr(item, "op_type", None) or getattr(item, "operation_type", None)
            if isinstance(kind, str) and kind:
                return "" if kind in str(error) else f" at {kind} '{getattr(item, 'name', '')}'"
    return ""


def words(error: BaseException) -> str:
    """The first line of what it says, and its type where that alone wouldn't be a sentence."""
    first = (str(error).strip().splitlines() or [""])[0][:LONGEST]
    plain = isinstance(error, NotImplementedError | RuntimeError | ValueError) and len(first.split()) > 2
    if plain:
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
