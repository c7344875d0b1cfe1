"""What the page says of a variant whose layers were explained."""

from driver.analysis import numbers
from driver.analysis.results import Comparison
from shared.sensitivity.layer_errors import Error, Sensitivity


def explained(comparison: Comparison, sensitivities: dict[str, Sensitivity]) -> list[Sensitivity]:
    """In the order of the rows."""
    return [sensitivities[row.name] for row in comparison.variants if row.name in sensitivities]


def summary(sensitivity: Sensitivity, comparison: Comparison) -> str:
    """The whole model, and which half of it loses: weights or activations."""
    return (
        f"On {sensitivity.images:,} calibration {comparison.unit} the {sensitivity.score} is "
        f"{numbers.percent(sensitivity.quantized_accuracy)} % quantized, "
        f"{numbers.percent(sensitivity.float_accuracy)} % in float; "
        f"{numbers.percent(sensitivity.weights_only)} % with its weights alone quantized, "
        f"{numbers.percent(sensitivity.activations_only)} % with its activations alone."
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
