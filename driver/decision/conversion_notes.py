"""What a variant's own files say of how it was made, where that was not the usual way."""

from driver.analysis.artifacts import Evidence
from driver.analysis.facts import ConversionNote, MadeByPt2e, OperatorsInFloat, RewrittenGraph, StageNote
from driver.analysis.stage_outputs import CONVERSION, NOTES, QUANTIZED, ConversionReport


def read_notes(evidence: Evidence, variant: str) -> tuple[ConversionNote, ...]:
    """Of the variant, and of what was exported for it alone."""
    if evidence.path(variant) is None:
        return ()
    exported = [name for name in evidence.plan.step(variant).inputs if name == "exported"]
    lines = [line for name in (*exported, variant) for line in evidence.content(name, NOTES) or ()]
    conversion = evidence.content(variant, QUANTIZED) or evidence.content(variant, CONVERSION) or ConversionReport()
    return (*map(StageNote, lines), *list_notes(conversion))


def list_notes(conversion: ConversionReport) -> list[ConversionNote]:
    notes: list[ConversionNote] = []
    if conversion.reason:
        notes.append(MadeByPt2e(conversion.reason))
    if conversion.rewritten:
        notes.append(RewrittenGraph(conversion.rewritten))
    if conversion.operators > conversion.quantized:
        notes.append(OperatorsInFloat(conversion.operators - conversion.quantized, conversion.operators))
    return notes
