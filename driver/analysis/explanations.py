"""What the stage `explain` found for a variant."""

from driver.analysis.artifacts import Evidence
from shared import sensitivity
from shared.sensitivity import Sensitivity


def find(evidence: Evidence, variant: str) -> Sensitivity | None:
    """What is known of `variant`, if it was explained."""
    found: Sensitivity | None = evidence.content(f"explain.{variant}", sensitivity.FILE)
    return found
