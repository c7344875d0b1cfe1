"""Checks the names in a recipe against those of the model: a typing error would otherwise have no effect."""

from collections.abc import Collection, Iterable

from shared.errors import CrossquantError
from shared.text import suggest_names


def check(option: str, what: str, names: Iterable[str], existing: Collection[str]) -> None:
    """Raise CrossquantError for the first of `names` that is not in `existing`; `what` says what they name."""
    for name in names:
        if name not in existing:
            raise CrossquantError(f"{option}: this model has no {what} '{name}'; {suggest_names(name, existing)}")
