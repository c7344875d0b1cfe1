"""What the page says of a variant whose layers were explained."""

from driver.analysis import numbers
from driver.analysis.results import Comparison
from shared.sensitivity.layer_errors import Error, Sensitivity


def explained(comparison: Comparison, known: dict[str, Sensitivity]) -> list[Sensitivity]:
    """In the order of the rows."""
    return [known[row.name] for row in comparison.variants if row.name in known]


def summary(found: Sensitivity, comparison: Comparison) -> str:
    """The whole model, and which half of it loses: weights or activations."""
    return (
        f"On {found.images:,} calibration {comparison.unit} the {found.score} is "
        f"{numbers.percent(found.quantized_accuracy)} % quantized, {numbers.percent(found.float_accuracy)} % in float; "
        f"{numbers.percent(found.weights_only)} % with its weights alone quantized, "
        f"{numbers.percent(found.activations_only)} % with its activations alone."
    )


def example(comparison: Comparison) -> str:
    """A variant that the command may be tried with."""
    names = [row.name for row in comparison.variants if row.quantized and row.status == "ok"]
    return next(iter(names), "VARIANT")


def decibels(error: Error | None) -> str:
    if error is None:
        return numbers.NONE
    return "exact" if error.sqnr_db is None else numbers.number(error.sqnr_db, "{:.1f}")


def clipped(share: float) -> str:
    """In percent; a share that rounds to nothing but is not is told apart from none."""
    return "<0.01" if 0 < share < 0.0001 else numbers.percent(share)
