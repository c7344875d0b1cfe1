"""Where the output of long commands is kept, which nobody wants to read unless they fail."""

from pathlib import Path

from shared.artifacts.store import ROOT

LOGS = ROOT / ".logs"


def make_path(name: str) -> Path:
    """The path of a log, in a folder that is there. The log of the last time is written over."""
    LOGS.mkdir(exist_ok=True)
    return LOGS / name


def read_tail(path: Path, count: int) -> list[str]:
    """The last lines that aren't empty; one that says so where there is none."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-count:] or ["no output"]
