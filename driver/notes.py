"""What a variant's own files say of how it was made, where that was not the usual way: a sentence each."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from driver.evidence import Evidence

CONVERSION, QUANTIZED, NOTES = "conversion.json", "quantized.json", "notes.json"
SHOWN = 2  # of what was rewritten


def of(evidence: Evidence, variant: str) -> list[str]:
    """Of the variant, and of what was exported for it alone."""
    path = evidence.path(variant)
    if path is None:
        return []
    parts = [evidence.path(name) for name in evidence.plan.step(variant).inputs if name == "exported"]
    said = [
        line for folder in (*parts, path) if folder and (folder / NOTES).exists() for line in content(folder, NOTES)
    ]
    quantized = content(path, QUANTIZED) if (path / QUANTIZED).exists() else {}
    converted = content(path, CONVERSION) if (path / CONVERSION).exists() else {}
    return [*said, *sentences(converted | quantized)]


def sentences(made: Mapping[str, Any]) -> list[str]:
    found = []
    if reason := made.get("reason"):
        found.append(f"FX graph mode refused it ({reason}): made by PT2E instead")
    if rewritten := made.get("rewritten"):
        more = f" and {len(rewritten) - SHOWN} more" if len(rewritten) > SHOWN else ""
        found.append(f"made from a rewritten graph: {'; '.join(rewritten[:SHOWN])}{more}")
    left = made.get("operators", 0) - made.get("quantized", 0)
    if left > 0:
        found.append(f"{left} of {made['operators']} convolutions and matrix products stay in float")
    return found


def content(folder: Path, file: str) -> Any:
    return json.loads((folder / file).read_text())
