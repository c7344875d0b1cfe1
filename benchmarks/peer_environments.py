"""An environment for each peer, and its script run there."""

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.peer_catalog import Peer, Recipe
from benchmarks.peer_material import CALIBRATION, HELD_OUT, Material, Row
from driver.engines import venv
from shared.artifacts.store import ROOT, file_sha256
from shared.errors import CrossquantError

PATIENCE = 600  # seconds for one recipe
WHEELS = ROOT / "wheels"
STAMP = "requirements.sha256"


def rows(peer: Peer, material: Material, environments: Path, work: Path) -> list[Row]:
    """A row for each recipe of `peer`; what can't be installed or fails is one with the reason."""
    try:
        python = ensure(peer, environments / peer.name)
    except CrossquantError as error:
        return [row(peer, recipe, reason=str(error)) for recipe in peer.recipes]
    return [quantize(peer, recipe, python, material, work) for recipe in peer.recipes]


def first_row(peer: Peer, material: Material, environments: Path, work: Path) -> Row:
    """That of the first recipe, by an environment that is there; nothing is installed."""
    recipe, folder = peer.recipes[0], environments / peer.name
    if not is_made(peer, folder):
        return row(peer, recipe, reason="its environment is not made: --small installs none")
    return quantize(peer, recipe, folder / "bin" / "python", material, work)


def row(peer: Peer, recipe: Recipe, model: Path | None = None, reason: str = "") -> Row:
    return Row(f"{peer.name}.{recipe.key}", peer.package, peer.version, recipe.words, model, reason)


def ensure(peer: Peer, folder: Path) -> Path:
    """The interpreter of the peer's environment, which is made if it is missing or its pins have changed."""
    python = folder / "bin" / "python"
    if not is_made(peer, folder):
        shutil.rmtree(folder, ignore_errors=True)
        call([venv.find_interpreter(), "-m", "venv", folder], "can't make an environment")
        install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--find-links", WHEELS]
        call([*install, "-r", peer.requirements], "can't be installed")
        (folder / STAMP).write_text(file_sha256(peer.requirements))
    return python


def is_made(peer: Peer, folder: Path) -> bool:
    """Is there an environment, of the pins of today?"""
    stamp = folder / STAMP
    return stamp.exists() and stamp.read_text() == file_sha256(peer.requirements)


def call(command: list[str | Path], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CrossquantError(f"{what}: {last_line(done.stderr or done.stdout)}")


def quantize(peer: Peer, recipe: Recipe, python: Path, material: Material, work: Path) -> Row:
    """Run the peer's script in a folder of its own. The test images are not among what it is given."""
    folder = work / f"{peer.name}.{recipe.key}"
    folder.mkdir()
    out = folder / "model.onnx"
    source = material.path(recipe.source) / "model.onnx"
    command = [python, peer.script, recipe.name, source, work / CALIBRATION, out, work / HELD_OUT]
    variables = {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": ""}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return row(peer, recipe, reason=f"not done after {PATIENCE} s")
    if done.returncode or not out.exists():
        return row(peer, recipe, reason=f"exit code {done.returncode}: {last_line(done.stderr or done.stdout)}")
    return row(peer, recipe, out)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no word"])[-1].strip()[:200]
