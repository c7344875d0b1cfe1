"""What NNCF says when it refuses a model."""

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
    """Unsupported, in NNCF's words."""
    try:
        with refused(WHO, "nncf", "openvino"):
            yield
    except REFUSALS as error:
        first = [type(error).__name__, *str(error).strip().splitlines()[:1]]
        raise Unsupported(f"{WHO}: {': '.join(first)}") from error
