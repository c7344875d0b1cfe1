"""Side by side with other tools that quantize ONNX files: each in an environment of its own, on the same calibration
images, all of their files and ours timed in one interleaved run.

`python -m benchmarks.peers` prints Markdown. Exit code 1: a peer's row is answered by none of ours; 2: something is to
be mended first.
"""

import argparse
import datetime
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import peer_environments, peer_table
from benchmarks.peer_catalog import PEERS
from benchmarks.peer_material import CALIBRATION, HELD_OUT, Material
from benchmarks.peer_measure import CALLS, Measured, measure, tell
from driver import catalog, experiment, host, venv_engine
from shared.errors import CrossquantError

DEFAULT = "mlperf-tiny"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    try:
        material = Material(experiment.load(experiment.find(arguments.experiment), catalog.load()))
        with tempfile.TemporaryDirectory() as folder:
            return 0 if compare(material, arguments.environments, Path(folder), arguments.rounds) else 1
    except CrossquantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="default: 7")
    parser.add_argument("--experiment", default=DEFAULT, metavar="FILE", help=f"default: {DEFAULT}")
    cache = venv_engine.FOLDER / "peers"
    parser.add_argument("--environments", type=Path, default=cache, metavar="FOLDER", help="default: .venvs/peers")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


def compare(material: Material, environments: Path, work: Path, rounds: int) -> bool:
    """Print both tables. True if each of the peers' rows has its answer."""
    material.write_calibration(work / CALIBRATION)
    material.write_held_out(work / HELD_OUT)
    ours, theirs = material.ours(), []
    for peer in PEERS:
        tell(f"{peer.package} {peer.version}")
        theirs += peer_environments.rows(peer, material, environments.absolute(), work)
    tell("answers and times")
    (work / "judged").mkdir()
    measured = measure([*ours, *theirs], material.path("dataset"), work / "judged", rounds)
    print_heading(material.plan.experiment, rounds, measured)
    peer_table.print_rows([*ours, *theirs], measured)
    return peer_table.print_answers(ours, theirs, measured)


def print_heading(name: str, rounds: int, measured: Measured) -> None:
    machine = host.describe()
    where = f"{datetime.date.today()}, {machine['cpu']}, {machine['cores']} cores"
    print(f"{where}; experiment {name}, batch 1, one thread, {rounds} rounds of {CALLS} calls.")
    others, load = measured.machine.others, os.getloadavg()[0]
    print(f"While it was timed other processes kept {others:.2f} cores busy (load {load:.1f}).")
    print(
        f"The float file, loaded twice, was {measured.noise:.1%} from itself in the middle round; "
        f"files within {measured.tolerance:.1%} count as equally fast.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
