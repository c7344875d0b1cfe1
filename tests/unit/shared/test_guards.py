"""A recipe that leaves most of the model in float is refused, even if the framework accepted it without an error."""

import pytest

from shared.errors import Unsupported
from shared.quantization.guards import check_quantized


@pytest.mark.parametrize(("quantized", "total"), [(10, 10), (5, 10), (2, 3), (1, 1), (1, 2)])
def test_half_of_the_operators_are_enough(quantized, total):
    check_quantized("PyTorch", quantized, total)


@pytest.mark.parametrize(("quantized", "total"), [(0, 10), (4, 10), (1, 3), (0, 1), (0, 0)])
def test_fewer_than_half_are_refused(quantized, total):
    with pytest.raises(Unsupported) as caught:
        check_quantized("PyTorch", quantized, total)
    expected = f"PyTorch quantized {quantized} of {total} convolutions and linear layers, without an error"
    assert str(caught.value) == expected


def test_the_frameworks_own_words_are_kept():
    with pytest.raises(Unsupported) as caught:
        check_quantized("PyTorch", 0, 9, "PyTorch's eager mode says: Weight observer must have a dtype of qint8")
    assert str(caught.value) == (
        "PyTorch quantized 0 of 9 convolutions and linear layers, without an error; "
        "PyTorch's eager mode says: Weight observer must have a dtype of qint8"
    )


@pytest.mark.parametrize(
    ("left", "named"),
    [
        (["a (Conv)"], "a (Conv) stayed in float"),
        (["a (Conv)", "b (LSTM)", "c (GRU)"], "a (Conv), b (LSTM), c (GRU) stayed in float"),
        (
            ["a (Conv)", "b (LSTM)", "c (GRU)", "d (Conv)", "e (Conv)"],
            "a (Conv), b (LSTM), c (GRU) and 2 more stayed in float",
        ),
    ],
)
def test_what_stayed_in_float_is_named(left: list[str], named: str) -> None:
    with pytest.raises(Unsupported) as caught:
        check_quantized("PyTorch", 0, 9, left=left)
    assert str(caught.value) == f"PyTorch quantized 0 of 9 convolutions and linear layers, without an error; {named}"
