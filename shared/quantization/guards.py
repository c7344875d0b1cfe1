"""Checks that a model was quantized: some quantizers accept a recipe and leave the model in float, without an error."""

from collections.abc import Sequence

from shared.errors import Unsupported

LEAST_SHARE = 0.5  # of the convolutions and matrix products
NAMED = 3


def check_quantized(framework: str, quantized: int, total: int, own_words: str = "", left: Sequence[str] = ()) -> None:
    """Raise Unsupported if fewer than half of the operators that compute were quantized.

    `own_words` is the message of the framework's own check of the recipe, `left` names the layers in float.
    """
    if quantized >= max(1, LEAST_SHARE * total):
        return
    counts = f"{framework} quantized {quantized} of {total} convolutions and linear layers, without an error"
    more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
    named = f"{', '.join(left[:NAMED])}{more} stayed in float" if left else ""
    raise Unsupported("; ".join(filter(None, (counts, own_words or named))))
