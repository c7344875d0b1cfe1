"""The definitions of docs/glossary.md: the page shows those of the figures and terms that it uses."""

import re
from dataclasses import dataclass, field
from functools import cache

from shared.artifacts import store

FILE = "docs/glossary.md"
ROW = re.compile(r"\| (?P<name>.+?) \| (?P<meaning>.+) \|")
HEAD = ("term", "figure")  # the first column of the head of a table
TERMS = (
    "variant",
    "reference",
    "recipe",
    "gate",
    "calibration set",
    "calibration draw",
    "conversion step",
    "float baseline",
    "A/A repeat",
    "saturation",
    "unsupported",
)  # of every page, beside its figures


@dataclass(frozen=True)
class Definition:
    """`id` names its element on a page."""

    id: str
    name: str
    meaning: str


@dataclass
class Definitions:
    """Those that one page uses, in the order of their first use."""

    used: dict[str, Definition] = field(default_factory=dict)

    def use(self, name: str) -> str:
        """The id of the definition's element. KeyError where the glossary has none of this name."""
        if name not in self.used:
            self.used[name] = Definition(f"def-{len(self.used) + 1}", name, read_glossary()[name])
        return self.used[name].id

    def has(self, name: str) -> bool:
        """Does the glossary define it?"""
        return name in read_glossary()

    @property
    def terms(self) -> dict[str, str]:
        """The meaning of the terms of every page."""
        return {name: read_glossary()[name] for name in TERMS}


@cache
def read_glossary() -> dict[str, str]:
    """The meaning of each term and figure, as plain text."""
    lines = (store.ROOT / FILE).read_text().splitlines()
    rows = [match for line in lines if (match := ROW.fullmatch(line)) and match["name"] not in HEAD]
    return {strip_markup(row["name"]): strip_markup(row["meaning"]) for row in rows}


def strip_markup(text: str) -> str:
    """Without the marks of code, and with bars as they are."""
    return text.replace("`", "").replace("\\|", "|")
