"""Which commit of crossquant this is, read from the checkout's own files: git need not be installed."""

import re
from pathlib import Path

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def read_commit(root: Path) -> str:
    """The commit that is checked out at `root`, in full; "" where it is no checkout, or can't be told."""
    try:
        folder = find_git_folder(root)
        head = (folder / "HEAD").read_text().strip()
        name = head.removeprefix("ref: ")
        commit = head if name == head else read_reference(folder, name)
    except (OSError, ValueError):
        return ""
    return commit if COMMIT.fullmatch(commit) else ""


def find_git_folder(root: Path) -> Path:
    """`.git`, or the folder that it names: a worktree and a submodule have a file there."""
    path = root / ".git"
    return path if path.is_dir() else root / path.read_text().strip().removeprefix("gitdir: ")


def read_reference(folder: Path, name: str) -> str:
    """The commit of the branch `name`: in a file of its own, or in the list of packed ones. "" where there is none."""
    shared = folder / "commondir"  # a worktree's branches are those of its repository
    common = folder / shared.read_text().strip() if shared.exists() else folder
    if (common / name).exists():
        return (common / name).read_text().strip()
    lines = (common / "packed-refs").read_text().splitlines()
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), "")
