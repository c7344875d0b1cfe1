"""Checks the names in a recipe against those of the model: a typing error would otherwise have no effect."""

import difflib
from collections.abc import Collection, Iterable

from shared.errors import CrossquantError

SHOWN, CLOSE = 30, 5  # names in a message


def check(option: str, what: str, names: Iterable[str], existing: Collection[str]) -> None:
    """Raise CrossquantError for the first of `names` that is not in `existing`; `what` says what they name."""
    for name in names:
        if name not in existing:
            raise CrossquantError(f"{option}: this model has no {what} '{name}'; {suggest_names(name, existing)}")


def suggest_names(name: str, existing: Collection[str]) -> str:
    """Suggest similar names, or list the existing ones."""
    lowered = {item.lower(): item for item in existing}
    close = [item for key, item in lowered.items() if name and (name.lower() in key)]
    close += [lowered[key] for key in difflib.get_close_matches(name.lower(), lowered, CLOSE)]
    if close:
        return "did you mean " + ", ".join(list(dict.fromkeys(close))[:CLOSE]) + "?"
    more = f" and {len(existing) - SHOWN} more" if len(existing) > SHOWN else ""
    return "known are " + ", ".join(list(existing)[:SHOWN]) + more
