"""Turns NNCF's refusals of a model into Unsupported."""

from collections.abc import Iterator
from contextlib import contextmanager

from images.openvino.recipe import nncf
from shared.errors import Unsupported
from shared.refusals import refusals as refused

WHO = "NNCF refuses the model"
REFUSALS = (
    nncf.ParameterNotSupportedError,
    nncf.UnsupportedModelError,
    nncf.ValidationError,
    NotImplementedError,
)


@contextmanager
def refusals() -> Iterator[None]:
    """Raise Unsupported, with NNCF's message, for what NNCF raises inside of the context."""
    try:
        with refused(WHO, "nncf", "openvino"):
            yield
    except REFUSALS as error:
        first = [type(error).__name__, *str(error).strip().splitlines()[:1]]
        raise Unsupported(f"{WHO}: {': '.join(first)}") from error
