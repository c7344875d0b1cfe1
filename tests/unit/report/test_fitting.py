"""Which columns a terminal has room for, and names without their middle."""

import pytest

from driver.report.fitting import fit_columns, shorten_names

LONG = "per-channel-percentile-with-a-very-long-name"


@pytest.mark.parametrize(
    ("width", "kept"),
    [(100, [1, 2, 3, 4]), (26, [1, 2, 3, 4]), (25, [1, 3, 4]), (19, [1, 3, 4]), (18, [3, 4]), (13, [3, 4]), (12, [])],
)
def test_the_least_important_columns_go_first_and_pairs_together(width, kept):
    """Names of 4; two columns of 4 that go together, one of 5, one of 6."""
    columns, names = fit_columns([4, 5, 6, 4, 4], ["a.b", "c.de"], [(3, 4), (1,), (2,)], width + 1)
    assert (columns, names) == (kept, ["a.b", "c.de"])


@pytest.mark.parametrize("room", [12, 20, 33, 60])
def test_names_that_are_shortened_stay_apart(room):
    names = [f"onnx.{LONG}-{number:02}" for number in range(40)]
    names += [f"onnx.{number:02}-{LONG}" for number in range(40)] + ["onnx.int8"]
    shortened = shorten_names(names, room)
    assert len(set(shortened)) == len(names)
    assert max(map(len, shortened)) <= room
    assert shortened[-1] == "onnx.int8"


def test_names_that_nothing_keeps_apart_have_numbers():
    """What differs is neither in the first nor in the last characters of any of them."""
    names = [f"onnx.aaaaaaaa{middle}aaaaaaaa" for middle in "bcdefghijklm"]
    shortened = shorten_names(names, 8)
    assert len(set(shortened)) == len(names)
    assert max(map(len, shortened)) <= 8
    assert (shortened[0], shortened[-1]) == ("onnx.a…1", "onnx.…12")


def test_no_names():
    assert fit_columns([4, 5], [], [(1,)], 10) == ([1], [])
