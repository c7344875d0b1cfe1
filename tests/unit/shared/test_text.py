"""Foreign text, made safe to show."""

import sys

import pytest

from shared.text import first_line, is_unprintable, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dense_1/kernel:0", "dense_1/kernel:0"),
        ("Größe [m²] 猫 👩", "Größe [m²] 猫 👩"),
        ("  two  spaces stay  ", "  two  spaces stay  "),
        ("a\x1b[2J\x1b[Hb", "a [2J [Hb"),
        ("cat\nAll 22 gates hold.\r\n", "cat All 22 gates hold."),
        ("a\u2028b\u2029c\x85d\x9be", "a b c d e"),
        ("a\u202eb\u2066c\u200bd", "a b c d"),
        ("lone \udc80 surrogate", "lone surrogate"),
        ("\x00", ""),
    ],
)
def test_what_a_terminal_would_obey_becomes_a_space(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["x" * 1000, "\n" + "x" * 1000, "x\n" * 1000])
def test_a_long_text_is_cut(text: str) -> None:
    shown = printable(text, 100)
    assert len(shown) == 100
    assert shown.endswith("…")


@pytest.mark.parametrize(
    ("message", "expected"), [("\n one line\nand another", "one line"), ("", "ValueError"), ("long" * 100, "long" * 5)]
)
def test_the_first_line_of_an_error(message: str, expected: str) -> None:
    assert first_line(ValueError(message), 20) == expected


WRAPPED = """in user code:

    File "runtime.py", line 122, in None  *
        ]
    File "traceback_utils.py", line 122, in error_handler  **
        raise e.with_traceback(filtered_tb) from None

    ValueError: Exception encountered when calling LSTMCell.call().

    \x1b[1mDimensions must be equal, but are 2 and 1\x1b[0m

    Arguments received by LSTMCell.call():
      • training=False
"""


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (WRAPPED, "Dimensions must be equal, but are 2 and 1"),
        ("in user code:\n\n    a.py:3 f *\n        g()\n    TypeError: no g\n", "no g"),
        ("Exception encountered when calling Dense.call().\n\nno kernel\n", "no kernel"),
        ("Exception encountered when calling Dense.call().", "Exception encountered when calling Dense.call()."),
        ("in user code:", "in user code:"),
    ],
)
def test_the_error_inside_of_those_of_tensorflow_and_keras(message: str, expected: str) -> None:
    assert first_line(ValueError(message)) == expected


def test_what_python_calls_printable_can_be_shown():
    """The first question of `printable` is Python's own, which is asked of every text."""
    assert not [char for char in map(chr, range(sys.maxunicode + 1)) if char.isprintable() and is_unprintable(char)]
