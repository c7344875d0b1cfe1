"""What a variant's own files say of how it was made, where that was not the usual way."""

from driver.analysis.artifacts import Evidence
from driver.analysis.facts import ConversionNote, MadeByPt2e, OperatorsInFloat, RewrittenGraph, StageNote
from driver.analysis.stage_outputs import CONVERSION, NOTES, QUANTIZED, Made


def read_notes(evidence: Evidence, variant: str) -> tuple[ConversionNote, ...]:
    """Of the variant, and of what was exported for it alone."""
    if evidence.path(variant) is None:
        return ()
    exported = [name for name in evidence.plan.step(variant).inputs if name == "exported"]
    lines = [line for name in (*exported, variant) for line in evidence.content(name, NOTES) or ()]
    made = evidence.content(variant, QUANTIZED) or evidence.content(variant, CONVERSION) or Made()
    return (*map(StageNote, lines), *notes_of(made))


def notes_of(made: Made) -> list[ConversionNote]:
    notes: list[ConversionNote] = []
    if made.reason:
        notes.append(MadeByPt2e(made.reason))
    if made.rewritten:
        notes.append(RewrittenGraph(made.rewritten))
    if made.operators > made.quantized:
        notes.append(OperatorsInFloat(made.operators - made.quantized, made.operators))
    return notes
