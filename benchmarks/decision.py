"""How often a variant is wrongly shown good enough, and how often rightly: simulations of what a decision rests on.

`python -m benchmarks.decision` draws tables of pairs, and samples of a regression, from a known truth, and judges them
by the code that judges a run. `--experiments N` says how often, `--plot FILE.svg` draws the power, `--small` tries it.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from driver.analysis import bootstrap, grouped_shares, paired_shares, weighted_statistics
from driver.analysis.assessment import LEVEL
from driver.analysis.bootstrap import Statistic
from driver.analysis.paired_shares import PairedCounts, Scale

ACCURACY = 0.88
TOLERANCE = 0.01  # of the reference's accuracy
SAMPLES = (50, 100, 200, 500, 1000, 2000, 5000, 10_000)
CANDIDATES = (1, 9, 40)
DISCORDANT = (0.01, 0.02, 0.05, 0.1)  # shares of the samples that only one of the two gets right


@dataclass(frozen=True)
class Truth:
    """A variant that loses `loss` of the reference's accuracy, and differs on a share of `discordant` samples."""

    loss: float
    discordant: float
    accuracy: float = ACCURACY

    @property
    def shares(self) -> tuple[float, float, float, float] | None:
        """Both right, lost, won, both wrong; None where they can't be."""
        difference = self.loss * self.accuracy
        lost, won = (self.discordant + difference) / 2, (self.discordant - difference) / 2
        both = self.accuracy - lost
        shares = (both, lost, max(won, 0.0), 1 - both - lost - max(won, 0.0))
        return shares if won > -1e-12 and min(shares) >= 0 else None


def simulate_shares(
    truth: Truth, samples: int, candidates: int, experiments: int, scale: Scale = "ratio", limit: float = TOLERANCE
) -> float | None:
    """The share of experiments in which the variant is shown good enough, by a test at the level of so many candidates.

    None where there is no such variant.
    """
    shares = truth.shares
    if shares is None:
        return None
    tables, counts = np.unique(
        np.random.default_rng(0).multinomial(samples, shares, experiments), axis=0, return_counts=True
    )
    level = LEVEL / candidates
    shown = [is_shown(tuple(map(int, table)), level, scale, limit) for table in tables]
    return float(np.dot(shown, counts) / experiments)


@cache
def is_shown(table: tuple[int, int, int, int], level: float, scale: Scale, limit: float) -> bool:
    return paired_shares.bound_loss(PairedCounts(*table), scale, level).high < limit


def simulate_groups(truth: Truth, groups: int, size: int, correlation: float, experiments: int) -> float | None:
    """The same where samples come in `groups` of `size`: with the square root of `correlation` as probability, a sample
    has the outcome that its group shares.
    """
    shares = truth.shares
    if shares is None:
        return None
    random, numbers = np.random.default_rng(0), np.repeat(np.arange(groups), size)
    shown = 0
    for _ in range(experiments):
        own, shared = random.random(len(numbers)), random.random(groups)
        drawn = np.where(random.random(len(numbers)) < np.sqrt(correlation), shared[numbers], own)
        outcome = np.searchsorted(np.cumsum(shares), drawn, side="right")
        counts = PairedCounts(*(int((outcome == number).sum()) for number in range(4)))
        used, level = grouped_shares.discount(counts, outcome == 2, outcome == 1, numbers, LEVEL)
        shown += paired_shares.bound_loss(used, "ratio", level).high < TOLERANCE
    return shown / experiments


def simulate_errors(samples: int, kind: str, experiments: int) -> dict[str, float]:
    """Of a mean absolute error that is just as much worse as is tolerated: how often each bound lies below that.

    What decides is the wider of the two others.

    `normal`: predictions get a little noise; `heavy`: errors of very different sizes; `rare`: 3 % of the samples get
    much worse.
    """
    random = np.random.default_rng(0)
    counted = {"decides": 0, "studentized": 0, "percentile": 0}
    for _ in range(experiments):
        before, after = draw_errors(random, samples, kind, TOLERANCE)
        one, other = weighted_statistics.mean(before), weighted_statistics.mean(after)
        values = bootstrap.resample({"before": one, "after": other}, samples)
        ratios = values["after"] / values["before"] - 1
        value = float(after.mean() / before.mean() - 1)
        influence = (other.influence - (1 + value) * one.influence) / float(before.mean())
        statistics = [Statistic(value, ratios, influence)]
        [span] = bootstrap.bound_together(statistics, LEVEL)
        [studentized] = bootstrap.bound_by_deviations(statistics, bootstrap.studentize(statistics), LEVEL)
        [percentile] = bootstrap.bound_by_ranks(statistics, ratios[None], LEVEL)
        counted["decides"] += span.high < TOLERANCE
        counted["studentized"] += studentized.high < TOLERANCE
        counted["percentile"] += percentile.high < TOLERANCE
    return {name: count / experiments for name, count in counted.items()}


def draw_errors(random: np.random.Generator, samples: int, kind: str, loss: float) -> tuple[np.ndarray, np.ndarray]:
    """Absolute errors of the reference and of a variant whose mean is larger by `loss`."""
    if kind == "rare":
        before = np.abs(random.normal(size=samples))
        worse = random.exponential(loss * np.sqrt(2 / np.pi) / 0.03, samples)
        return before, before + np.where(random.random(samples) < 0.03, worse, 0) + random.normal(0, 1e-3, samples)
    scale = np.exp(random.normal(size=samples)) if kind == "heavy" else np.ones(samples)
    errors, noise = scale * random.normal(size=(2, samples))
    return np.abs(errors), np.abs(errors + np.sqrt((1 + loss) ** 2 - 1) * noise)


def tabulate_level(experiments: int, samples: Sequence[int]) -> Iterator[str]:
    yield from title(f"Wrongly shown good enough, of {experiments:,} experiments: the loss is just what is tolerated")
    yield from head("candidates", "samples", *(f"{100 * share:g} % differ" for share in (0.0088, *DISCORDANT)))
    for candidates in CANDIDATES:
        for number in samples:
            cells = [
                simulate_shares(Truth(TOLERANCE, share), number, candidates, experiments)
                for share in (0.0088, *DISCORDANT)
            ]
            yield row(f"{candidates}", f"{number:,}", *map(percent, cells))


def tabulate_power(experiments: int, samples: Sequence[int]) -> Iterator[str]:
    yield from title(f"Rightly shown good enough, of {experiments:,} experiments: the variant loses nothing")
    yield from head("candidates", "samples", *(f"{100 * share:g} % differ" for share in DISCORDANT))
    for candidates in CANDIDATES:
        for number in samples:
            cells = [simulate_shares(Truth(0.0, share), number, candidates, experiments) for share in DISCORDANT]
            yield row(f"{candidates}", f"{number:,}", *map(percent, cells))


def tabulate_groups(experiments: int, groups: Sequence[int]) -> Iterator[str]:
    yield from title(f"Wrongly shown good enough, samples in groups of 20, of {experiments:,} experiments")
    correlations = (0.0, 0.1, 0.3)
    yield from head("groups", "differ", *(f"correlation {each:g}" for each in correlations))
    for number in groups:
        for share in (0.02, 0.1):
            cells = [simulate_groups(Truth(TOLERANCE, share), number, 20, each, experiments) for each in correlations]
            yield row(f"{number}", f"{100 * share:g} %", *map(percent, cells))


def tabulate_errors(experiments: int, samples: Sequence[int]) -> Iterator[str]:
    yield from title(f"Mean absolute error, wrongly shown good enough, of {experiments:,} experiments")
    yield from head("samples", "errors", "what decides", "studentized", "percentile")
    for number in samples:
        for kind in ("normal", "heavy", "rare"):
            rates = simulate_errors(number, kind, experiments)
            yield row(f"{number:,}", kind, *map(percent, rates.values()))


def title(text: str) -> tuple[str, str]:
    return f"**{text}**", ""


def head(*cells: str) -> tuple[str, str]:
    return row(*cells), row(*("---:" for _ in cells))


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def draw_power(path: str, experiments: int) -> None:
    """The power by the number of samples: a curve for each number of candidates and share that differs."""
    from matplotlib import pyplot  # noqa: PLC0415 - for this alone

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    numbers = np.unique(np.geomspace(100, 20_000, 30).astype(int))
    for candidates, style in zip(CANDIDATES, ("-", "--", ":"), strict=True):
        for share, colour in zip((0.01, 0.025, 0.05), ("#0b6e4f", "#c44536", "#1d4e89"), strict=True):
            power = [
                100 * (simulate_shares(Truth(0.0, share), int(number), candidates, experiments) or 0.0)
                for number in numbers
            ]
            label = f"{100 * share:g} % differ, {candidates} candidate{'s' if candidates > 1 else ''}"
            axes.plot(numbers, power, style, color=colour, label=label)
    axes.set(xscale="log", xlabel="test samples", ylabel="shown good enough, %", ylim=(0, 101))
    axes.set_title("A variant that loses nothing; 1 % of an accuracy of 88 % is tolerated", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    pyplot.rcParams["svg.hashsalt"] = "crossquant"
    figure.savefig(path, metadata={"Date": None})


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decision", description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=20_000, help="of shares; a hundredth as many of the others")
    parser.add_argument("--plot", metavar="FILE", default="", help="draw the power curves into this SVG")
    parser.add_argument("--small", action="store_true", help="a few experiments: a trial of the code")
    given = parser.parse_args(arguments)
    experiments = 200 if given.small else given.experiments
    samples = SAMPLES[:3] if given.small else SAMPLES
    few = max(20, experiments // 20)
    for table in (
        tabulate_level(experiments, samples),
        tabulate_power(experiments, samples),
        tabulate_groups(few, (60,) if given.small else (100, 500)),
        tabulate_errors(few, (100,) if given.small else (200, 500, 1000)),
    ):
        print("\n".join(table), end="\n\n")
    if given.plot:
        draw_power(given.plot, experiments // 10)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
