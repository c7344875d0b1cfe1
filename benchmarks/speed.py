"""What the driver costs: its run against three bare scripts for the same work, a run with nothing to do, and memory.

`python -m benchmarks.speed` prints Markdown as it measures. Exit code 2: something is to be mended first.
"""

import argparse
import datetime
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import chains, memory
from benchmarks.chains import Setting
from driver import catalog, experiment, host, venv_engine
from shared.errors import CrossquantError


@dataclass
class Times:
    """Seconds of each round: the work of the scripts by the driver, the scripts' own unless one died, a whole run on an
    empty volume, and one with nothing to do.
    """

    same: list[float] = field(default_factory=list)
    run: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    bare: list[float | None] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    try:
        file = experiment.find(arguments.experiment).resolve()
        chosen = experiment.load(file, catalog.load())
        chains.check(chosen, arguments.engine)
        with tempfile.TemporaryDirectory() as temporary:
            setting = Setting(arguments.engine, file, chosen, Path(temporary, "volumes"), Path(temporary, "bare"))
            chains.copy_inputs(setting)
            measure(setting, arguments.rounds)
    except CrossquantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--engine", choices=("docker", "venv"), default="docker", help="default: docker")
    parser.add_argument("--experiment", default=chains.DEFAULT, metavar="FILE", help=f"default: {chains.DEFAULT}")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


def measure(setting: Setting, rounds: int) -> None:
    """A round that warms the disk's cache, weighed and not timed; then `rounds` that are timed, A B A B."""
    for image in chains.IMAGES:
        venv_engine.ensure(image)
    containers = memory.Peaks(setting)
    with containers.watched():
        chains.drive(setting)
    scripts = memory.of_scripts(setting)
    print_heading(setting, rounds)
    times = Times()
    for number in range(1, rounds + 1):
        shutil.rmtree(setting.folder)
        times.same.append(chains.drive_same_work(setting))
        times.bare.append(chains.walk(setting))
        shutil.rmtree(setting.folder)
        times.run.append(chains.drive(setting))
        times.again.append(chains.drive(setting))
        load = f"{os.getloadavg()[0]:.1f}"
        print_round(str(number), times.same[-1], times.bare[-1], times.run[-1], times.again[-1], load)
    print_summary(times)
    print_memory(setting, containers.found, scripts)


def print_heading(setting: Setting, rounds: int) -> None:
    machine = host.describe()
    where = f"{datetime.date.today()}, {machine['cpu']}, {machine['cores']} cores"
    print(f"{where}; experiment {setting.chosen.name}, engine {setting.engine}, {rounds} rounds.")
    print(chains.same_work(setting))
    print(
        "\n| round | driver, the scripts' work, s | bare scripts, s | ratio | whole run, s | nothing to do, s | load |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)


def print_round(name: str, same: float, bare: float | None, run: float, again: float, load: str = "") -> None:
    cells = "died | –" if bare is None else f"{bare:.1f} | {same / bare:.2f}"
    print(f"| {name} | {same:.1f} | {cells} | {run:.1f} | {again:.2f} | {load} |", flush=True)


def print_summary(times: Times) -> None:
    whole = [seconds for seconds in times.bare if seconds is not None]
    for name, pick in (("median", statistics.median), ("least", min)):
        print_round(name, pick(times.same), pick(whole) if whole else None, pick(times.run), pick(times.again))


def print_memory(setting: Setting, containers: dict[str, int], scripts: dict[str, int]) -> None:
    print("\n| image | container, MB | largest stage, MB | bare script, MB |")
    print("|---|---:|---:|---:|")
    for image in chains.IMAGES:
        whole = f"{containers[image] / 1e6:.0f}" if image in containers else "–"
        stage = memory.of_stages(setting, image) / 1e6
        print(f"| {image} | {whole} | {stage:.0f} | {scripts[image] / 1e6:.0f} |")


if __name__ == "__main__":
    sys.exit(main())
