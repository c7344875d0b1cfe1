"""What is said of a model that the image refuses."""

from pathlib import Path

import pytest

from images.keras import describe, load
from shared.errors import CrossquantError


def load_error(source: Path, dataset: Path, out: Path, trust: bool = False) -> str:
    """Return the one line of the error."""
    with pytest.raises(CrossquantError) as caught:
        load.run(source, dataset, out, trust=trust)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def refusal(source: Path, dataset: Path, out: Path, trust: bool = False) -> str:
    """Return the one line of the error, for a file of which nothing is kept."""
    error = load_error(source, dataset, out, trust)
    assert not list(out.glob("model*"))
    return error


def refusal_by_both(source: Path, dataset: Path, out: Path) -> str:
    """Return the one line of the error, which `inspect` gives too."""
    error = refusal(source, dataset, out)
    with pytest.raises(CrossquantError) as caught:
        describe.run(source, out, trust=False, opset=17)
    assert str(caught.value) == error
    assert not list(out.glob("model*"))
    return error
