"""Side by side with other tools that quantize ONNX files: each in an environment of its own, on the same calibration
images, all of their files and ours timed in one interleaved run.

`python -m benchmarks.peers` prints Markdown. Exit code 1: a peer's row is answered by none of ours; 2: something is to
be mended first. `--small` is a run of its own on a few images, with one recipe of ours and, of each tool whose
environment is there, the first one; nothing is installed, and none is judged.
"""

import argparse
import datetime
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import peer_environments, peer_table, small
from benchmarks.peer_catalog import PEERS
from benchmarks.peer_material import CALIBRATION, HELD_OUT, HELD_OUT_PER_CLASS, Material, Row
from benchmarks.peer_measure import CALLS, Measured, measure, tell
from driver.catalog import declarations
from driver.engines import venv
from driver.experiment import loader
from driver.host import facts
from shared.command import DEFAULT_EXPERIMENT
from shared.errors import CrossquantError

DEFAULT = "mlperf-tiny"
SMALL = {"onnx": "u8s8-reduced"}  # of the default experiment


@dataclass(frozen=True)
class Size:
    """How much is asked for; `held_out` training images of each class are for the tools that look at accuracy."""

    rounds: int
    calls: int = CALLS
    held_out: int = HELD_OUT_PER_CLASS


SMALL_SIZE = Size(rounds=2, calls=3, held_out=10)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            if arguments.small:
                compare_small(arguments.environments, Path(folder))
                return 0
            material = Material(loader.load(loader.find(arguments.experiment), declarations.load()))
            return 0 if compare(material, arguments.environments, Path(folder), arguments.rounds) else 1
    except CrossquantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="default: 7")
    parser.add_argument("--experiment", default=DEFAULT, metavar="FILE", help=f"default: {DEFAULT}")
    cache = venv.FOLDER / "peers"
    parser.add_argument("--environments", type=Path, default=cache, metavar="FOLDER", help="default: .venvs/peers")
    parser.add_argument("--small", action="store_true", help="on a few images, with the environments that are there")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


def compare(material: Material, environments: Path, work: Path, rounds: int) -> bool:
    """Print both tables. True if each of the peers' rows has its answer."""
    size = Size(rounds)
    write_images(material, work, size)
    theirs = []
    for peer in PEERS:
        tell(f"{peer.package} {peer.version}")
        theirs += peer_environments.rows(peer, material, environments.absolute(), work)
    return judge(material, theirs, work, size)


def compare_small(environments: Path, folder: Path) -> None:
    """Both tables of a run on a volume of its own, as far as the environments are there."""
    volumes, work = folder / "volumes", folder / "work"
    work.mkdir()
    default = loader.load(loader.find(DEFAULT_EXPERIMENT), declarations.load())
    file = str(small.write(volumes, small.of(default, SMALL)))
    ours = [f"{image}.{name}" for image, name in SMALL.items()]
    small.drive(volumes, "run", *ours, "dataset", "labels", "--engine", "venv", "--experiment", file)
    with small.on_volume(volumes):
        material = Material(loader.load(loader.find(file), declarations.load()))
        write_images(material, work, SMALL_SIZE)
        theirs = [peer_environments.first_row(peer, material, environments.absolute(), work) for peer in PEERS]
        judge(material, theirs, work, SMALL_SIZE)


def write_images(material: Material, work: Path, size: Size) -> None:
    material.write_calibration(work / CALIBRATION)
    material.write_held_out(work / HELD_OUT, size.held_out)


def judge(material: Material, theirs: Sequence[Row], work: Path, size: Size) -> bool:
    ours = material.ours()
    tell("answers and times")
    (work / "judged").mkdir()
    measured = measure([*ours, *theirs], material.path("dataset"), work / "judged", size.rounds, size.calls)
    print_heading(material.plan.experiment, size, measured)
    peer_table.print_rows([*ours, *theirs], measured)
    return peer_table.print_answers(ours, theirs, measured)


def print_heading(name: str, size: Size, measured: Measured) -> None:
    machine = facts.describe()
    where = f"{datetime.date.today()}, {machine['cpu']}, {machine['cores']} cores"
    print(f"{where}; experiment {name}, batch 1, one thread, {size.rounds} rounds of {size.calls} calls.")
    others, load = measured.machine.others, os.getloadavg()[0]
    print(f"While it was timed other processes kept {others:.2f} cores busy (load {load:.1f}).")
    print(
        f"The float file, loaded twice, was {measured.noise:.1%} from itself in the middle round; "
        f"files within {measured.tolerance:.1%} count as equally fast.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
