"""What the stage `explain` found for a variant."""

from driver.analysis.artifacts import Evidence
from shared.sensitivity import layer_errors
from shared.sensitivity.layer_errors import Sensitivity


def read_explanation(evidence: Evidence, variant: str) -> Sensitivity | None:
    """The layer errors of `variant`; None where nobody ran `explain` on it."""
    sensitivity: Sensitivity | None = evidence.content(f"explain.{variant}", layer_errors.FILE)
    return sensitivity
