"""What a variant's own files say of how it was made, where that was not the usual way: a sentence each."""

from driver.analysis.artifacts import Evidence
from driver.analysis.stage_outputs import CONVERSION, NOTES, QUANTIZED, Made

SHOWN = 2  # of what was rewritten


def of(evidence: Evidence, variant: str) -> list[str]:
    """Of the variant, and of what was exported for it alone."""
    if evidence.path(variant) is None:
        return []
    exported = [name for name in evidence.plan.step(variant).inputs if name == "exported"]
    said = [line for name in (*exported, variant) for line in evidence.content(name, NOTES) or ()]
    made = evidence.content(variant, QUANTIZED) or evidence.content(variant, CONVERSION) or Made()
    return [*said, *sentences(made)]


def sentences(made: Made) -> list[str]:
    found = []
    if made.reason:
        found.append(f"FX graph mode refused it ({made.reason}): made by PT2E instead")
    if rewritten := made.rewritten:
        more = f" and {len(rewritten) - SHOWN} more" if len(rewritten) > SHOWN else ""
        found.append(f"made from a rewritten graph: {'; '.join(rewritten[:SHOWN])}{more}")
    left = made.operators - made.quantized
    if left > 0:
        found.append(f"{left} of {made.operators} convolutions and matrix products stay in float")
    return found
