"""What the driver costs: its run against three bare scripts for the same predictions, a run with nothing to do, and
memory.

`python -m benchmarks.speed` prints Markdown as it measures. Exit code 1: a row's answers differ that must be equal;
2: something is to be mended first. `--small` is one round on a few images of the embedded sample.
"""

import argparse
import datetime
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import chains, memory, small
from benchmarks.chains import Compared, Setting
from driver.catalog import declarations
from driver.engines import venv
from driver.experiment import loader
from driver.host import facts
from shared.artifacts import store
from shared.command import DEFAULT_EXPERIMENT
from shared.errors import CrossquantError

ENGINES = ("docker", "venv")
NOTE = f"Rows quantized by ONNX Runtime need the same top-1 for {chains.ALIKE:.0%} of the images; others must be equal."
SMALL = {"onnx": "u8s8-reduced", "torch": "onednn"}  # of the default experiment: those with most settings


@dataclass(frozen=True)
class Round:
    """Seconds of the bare scripts, None where one died, and by engine: of the driver for the same predictions, of a
    whole run on an empty volume, and of one with nothing to do. `load` is the machine's at the end.
    """

    bare: float | None
    same: dict[str, float]
    run: dict[str, float]
    again: dict[str, float]
    load: float


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    engines = ENGINES if arguments.engine == "both" else (arguments.engine,)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            return prepare(Path(temporary), engines, arguments)
    except CrossquantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--engine", choices=(*ENGINES, "both"), default="both", help="default: both")
    parser.add_argument("--experiment", metavar="FILE", help=f"default: {DEFAULT_EXPERIMENT}")
    parser.add_argument("--small", action="store_true", help="one round, on a few images of the embedded sample")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if arguments.small and arguments.experiment:
        parser.error("--small has an experiment of its own: leave out --experiment")
    return arguments


def prepare(folder: Path, engines: Sequence[str], arguments: argparse.Namespace) -> int:
    """Look first whether the two chains do the same work, then measure."""
    source, name = store.volumes(), arguments.experiment or DEFAULT_EXPERIMENT
    for image in chains.IMAGES:
        venv.ensure_environment(image)
    chosen = loader.load(loader.find(name), declarations.load())
    chains.check_recipes(chosen, folder)  # of all rows of the default experiment, with --small too
    if arguments.small:
        source = folder / "source"
        name = str(small.write(source, small.of(chosen, SMALL)))
        chosen = loader.load(loader.find(name), declarations.load())
    chains.check(chosen, engines, source)
    file = loader.find(name).resolve()
    settings = [Setting(engine, file, chosen, folder / engine / "volumes", folder / "bare") for engine in engines]
    for setting in settings:
        chains.copy_inputs(setting, source)
    return measure(settings, 0 if arguments.small else arguments.rounds)


def measure(settings: Sequence[Setting], rounds: int) -> int:
    """A round that warms the disk's cache, weighed and not counted; then `rounds` that are timed, A B A B.

    With no `rounds` the times of the first one are printed: they show the form of the table, and nothing else.
    """
    peaks = [memory.Peaks(setting) for setting in settings]
    scripts: dict[str, int] = {}

    def weighed_scripts(setting: Setting) -> float:
        return seconds(lambda: scripts.update(memory.of_scripts(setting)))

    def weighed_run(setting: Setting) -> float:
        with peaks[settings.index(setting)].watched():
            return chains.drive(setting)

    first = one_round(settings, weighed_scripts, weighed_run, whole=bool(rounds))
    print_heading(settings, rounds)
    good = print_rows(settings)
    stages = {image: max(memory.of_stages(setting, image) for setting in settings) for image in chains.IMAGES}
    print_times_heading(settings)
    times = [] if rounds else [first]
    for number in range(1, rounds + 1):
        times.append(one_round(settings, chains.walk, chains.drive))
        print_round(str(number), times[-1])
    if not rounds:
        print_round("1", first)
    print_summary(times)
    print_whole(times)
    print_memory({image: peak for of_setting in peaks for image, peak in of_setting.found.items()}, stages, scripts)
    return 0 if good else 1


def one_round(
    settings: Sequence[Setting],
    scripts: Callable[[Setting], float | None],
    run: Callable[[Setting], float],
    *,
    whole: bool = True,
) -> Round:
    """Without `whole` the second run of an engine goes on from the first one, which spares half of the time."""
    bare = scripts(settings[0])
    same, runs, again = {}, {}, {}
    for setting in settings:
        shutil.rmtree(setting.folder, ignore_errors=True)
        same[setting.engine] = chains.drive_same_work(setting)
    for setting in settings:
        if whole:
            shutil.rmtree(setting.folder)
        runs[setting.engine] = run(setting)
        again[setting.engine] = chains.drive(setting)
    return Round(bare, same, runs, again, os.getloadavg()[0])


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def print_heading(settings: Sequence[Setting], rounds: int) -> None:
    machine, [first, *_] = facts.describe(), settings
    where = f"{datetime.date.today()}, {machine['cpu']}, {machine['cores']} cores"
    size = f"{rounds} rounds" if rounds else "smallest size: its times say nothing"
    print(f"{where}; experiment {first.chosen.name}, {size}.\n")


def print_rows(settings: Sequence[Setting]) -> bool:
    """How each row's answers of the driver compare with the scripts'. True if all are as they must be."""
    by_engine = {setting.engine: {row.name: row for row in chains.compared(setting)} for setting in settings}
    [first, *_] = by_engine.values()
    print(f"| row | {' | '.join(by_engine)} |\n|---|{'---|' * len(by_engine)}")
    for name in first:
        print(f"| {name} | {' | '.join(verdict(rows[name]) for rows in by_engine.values())} |")
    rows = [row for rows in by_engine.values() for row in rows.values()]
    if not all(row.exact for row in rows):
        print(f"\n{NOTE}")
    return all(row.good for row in rows)


def verdict(row: Compared) -> str:
    if row.difference == 0:
        return "equal"
    differences = (
        f"{row.changed} of {row.images:,} have another top-1, probabilities differ by up to {row.difference:.1e}"
    )
    return differences if row.good else f"**wrong**: {differences}"


def print_times_heading(settings: Sequence[Setting]) -> None:
    engines = "".join(f" {setting.engine}, s | × bare |" for setting in settings)
    print(f"\n| round | bare scripts, s |{engines} load |")
    print(f"|---|---:|{'---:|---:|' * len(settings)}---:|", flush=True)


def print_round(name: str, found: Round) -> None:
    cells = [cell(found.bare)]
    for taken in found.same.values():
        cells += [cell(taken), "–" if found.bare is None else f"{taken / found.bare:.2f}"]
    print(f"| {name} | {' | '.join(cells)} | {found.load:.1f} |", flush=True)


def cell(taken: float | None) -> str:
    return "died" if taken is None else f"{taken:.1f}"


def print_summary(times: Sequence[Round]) -> None:
    """The ratio of a line is that of its two times."""
    whole = [timed.bare for timed in times if timed.bare is not None]
    for name, pick in (("median", statistics.median), ("least", min)):
        same = {engine: pick([timed.same[engine] for timed in times]) for engine in times[0].same}
        load = pick([timed.load for timed in times])
        print_round(name, Round(pick(whole) if whole else None, same, {}, {}, load))


def print_whole(times: Sequence[Round]) -> None:
    print("\n| engine | whole run, s | nothing to do, s |\n|---|---:|---:|")
    for engine in times[0].run:
        run, again = ([getattr(timed, what)[engine] for timed in times] for what in ("run", "again"))
        print(f"| {engine} | {statistics.median(run):.1f} | {statistics.median(again):.2f} |")


def print_memory(containers: dict[str, int], stages: dict[str, int], scripts: dict[str, int]) -> None:
    print("\n| image | container, MB | largest stage, MB | bare script, MB |")
    print("|---|---:|---:|---:|")
    for image in chains.IMAGES:
        whole = f"{containers[image] / 1e6:.0f}" if image in containers else "–"
        print(f"| {image} | {whole} | {stages[image] / 1e6:.0f} | {scripts[image] / 1e6:.0f} |")


if __name__ == "__main__":
    sys.exit(main())
