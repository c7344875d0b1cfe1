"""What a quantizer says it did is checked: some accept a recipe in silence and leave the model in float."""

from shared.errors import Unsupported

LEAST_SHARE = 0.5  # of the convolutions and matrix products


def check_quantized(framework: str, quantized: int, total: int, own_words: str = "") -> None:
    """Raise Unsupported where fewer than half of the operators that compute were quantized.

    `own_words` is what the framework's own check says of the recipe.
    """
    if quantized >= max(1, LEAST_SHARE * total):
        return
    found = f"{framework} quantized {quantized} of {total} convolutions and linear layers, without an error"
    raise Unsupported(f"{found}; {own_words}" if own_words else found)
