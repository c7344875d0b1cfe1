"""What a quantizer says it did is checked: some accept a recipe in silence and leave the model in float."""

from collections.abc import Sequence

from shared.errors import Unsupported

LEAST_SHARE = 0.5  # of the convolutions and matrix products
NAMED = 3


def check_quantized(framework: str, quantized: int, total: int, own_words: str = "", left: Sequence[str] = ()) -> None:
    """Raise Unsupported where fewer than half of the operators that compute were quantized.

    `own_words` is what the framework's own check says of the recipe, `left` what it left in float.
    """
    if quantized >= max(1, LEAST_SHARE * total):
        return
    found = f"{framework} quantized {quantized} of {total} convolutions and linear layers, without an error"
    more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
    named = f"{', '.join(left[:NAMED])}{more} stayed in float" if left else ""
    raise Unsupported("; ".join(filter(None, (found, own_words or named))))
