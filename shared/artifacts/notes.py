"""The notes that a stage leaves beside a model: lines that a reader of the results must know."""

import json
from collections.abc import Sequence
from pathlib import Path

FILE = "notes.json"


def write_notes(notes: Sequence[str], folder: Path) -> None:
    """Write the notes into `folder`, if there are any."""
    if notes:
        (folder / FILE).write_text(json.dumps(list(notes)))
