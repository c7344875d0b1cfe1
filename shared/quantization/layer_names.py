"""Names that a recipe asks for, held against those that there are: a typing error would be obeyed in silence."""

import difflib
from collections.abc import Collection, Iterable

from shared.errors import CrossquantError

SHOWN, CLOSE = 30, 5  # names in a message


def check(option: str, what: str, asked: Iterable[str], known: Collection[str]) -> None:
    """CrossquantError for the first name that is asked for and not known."""
    for name in asked:
        if name not in known:
            raise CrossquantError(f"{option}: this model has no {what} '{name}'; {suggestion(name, known)}")


def suggestion(name: str, known: Collection[str]) -> str:
    """The names that are like it, else those that there are."""
    lowered = {item.lower(): item for item in known}
    close = [item for key, item in lowered.items() if name and (name.lower() in key)]
    close += [lowered[key] for key in difflib.get_close_matches(name.lower(), lowered, CLOSE)]
    if close:
        return "did you mean " + ", ".join(list(dict.fromkeys(close))[:CLOSE]) + "?"
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return "known are " + ", ".join(list(known)[:SHOWN]) + more
