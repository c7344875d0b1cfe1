"""Text from a model, a data file or a framework, made safe to show: one line, no control characters, not too long."""

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Collection

LONGEST = 1000  # characters of a message
LISTED, CLOSE = 30, 5  # names in a message
WRAPPED, WRAPPED_BY_LAYER = "in user code:", "Exception encountered when calling "  # TensorFlow's words, and Keras'
RAISED = re.compile(r"[\w.]*(?:Error|Exception): ")  # what a traceback says of the error itself
STYLE = re.compile(r"\x1b\[[0-9;]*m")
UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, lone surrogates, separators of lines
DIRECTIONS = map(chr, (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
INVISIBLE = frozenset({"\u200b", "\u2060", "\ufeff", *DIRECTIONS})


def printable(text: str, longest: int = LONGEST) -> str:
    """`text` as one line of at most `longest` characters: a run of what can't be shown becomes a space.

    A terminal obeys control characters: a layer's name could clear the screen, or a class name add a line that looks
    like our own. Characters that hide text or reverse its direction go as well.
    """
    # `str.isprintable` is false for more characters, as a no-break space is, and takes a hundredth of the time.
    if text.isprintable() or not any(map(is_unprintable, text)):
        return text if len(text) <= longest else text[: longest - 1] + "…"
    words = "".join(" " if is_unprintable(char) else char for char in text[: 4 * longest]).split()
    return printable(" ".join(words), longest)


def is_unprintable(char: str) -> bool:
    return char in INVISIBLE or unicodedata.category(char) in UNPRINTABLE


def tell_apart(cleaned: str, name: str) -> str:
    """Return `cleaned`, a form of `name`, with a hash of `name`, so that the result is different for each name."""
    return f"{cleaned}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def first_line(error: BaseException, longest: int | None = None) -> str:
    """Return the first line of an error's message, at most `longest` characters, or its type if there is no message.

    Of an error that TensorFlow and Keras wrap into others, it is the first line of the error inside.
    """
    lines = list(filter(None, (line.strip() for line in STYLE.sub("", str(error)).splitlines())))
    if lines and lines[0] == WRAPPED:
        raised = [number for number, line in enumerate(lines) if RAISED.match(line)]
        lines = [RAISED.sub("", line) for line in lines[raised[-1] if raised else 0 :]]
    if len(lines) > 1 and lines[0].startswith(WRAPPED_BY_LAYER):
        lines = lines[1:]
    return (lines or [type(error).__name__])[0][:longest]


def suggest_names(name: str, existing: Collection[str]) -> str:
    """Suggest similar names, or list the existing ones."""
    lowered = {item.lower(): item for item in existing}
    close = [item for key, item in lowered.items() if name and (name.lower() in key)]
    close += [lowered[key] for key in difflib.get_close_matches(name.lower(), lowered, CLOSE)]
    if close:
        return "did you mean " + ", ".join(list(dict.fromkeys(close))[:CLOSE]) + "?"
    more = f" and {len(existing) - LISTED} more" if len(existing) > LISTED else ""
    return "known are " + ", ".join(list(existing)[:LISTED]) + more
