"""The files of `comparison/` that hold a comparison as text."""

import dataclasses
import json

from driver.analysis.results import Comparison
from driver.report import csv_table, markdown


def texts(comparison: Comparison) -> dict[str, str]:
    """The contents of `comparison.json`, `.md` and `.csv`, by their names."""
    data = dataclasses.asdict(comparison)
    return {
        "comparison.json": json.dumps(data, indent=1, ensure_ascii=False) + "\n",
        "comparison.md": markdown.markdown_text(comparison),
        "comparison.csv": csv_table.csv_text(comparison),
    }
