"""Which of two files is faster, and how sure that is: ratios of timings, their noise, and threads that cost time."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

from driver.analysis.facts import MoreThreadsSlower
from driver.analysis.results import Interval, Noise, Timing
from driver.analysis.timing_summary import find_single_call
from shared.measure.timing import REPEAT_SUFFIX

SLOWER_ON_MORE = 1.1  # times as long; less is within the noise of many machines
NARROW = 0.05  # of an interval's half-width, as a share of the ratio


def compute_noise(image: str, table: Mapping[str, Sequence[Timing]]) -> Iterator[Noise]:
    """By how much the timings of each A/A repeat differ from those of its variant, at batch 1 on one thread.

    At most: it is the far end of the ratio's interval; of a single pass, the ratio itself. Nothing is known where a
    pass lacks one of the two.
    """
    for name, repeats in table.items():
        if name.endswith(REPEAT_SUFFIX):
            variant = name.removesuffix(REPEAT_SUFFIX)
            first, repeat = (find_single_call(timings) for timings in (table.get(variant, ()), repeats))
            if first is not None and repeat is not None and len(first.passes) == len(repeat.passes):
                span = compute_ratio(first, repeat)
                ends = (span.low, span.high) if span else (repeat.p50 / first.p50,)
                yield Noise(image, variant, max(max(end, 1 / end) - 1 for end in ends))


def compute_ratio(one: Timing, other: Timing, confidence: float = 0.95) -> Interval | None:
    """The interval of how many times as long a call of `other` takes as one of `one`; None of fewer than two passes.

    A pass is a start of the process, where timings vary most: Student's interval of the mean logarithm of the passes'
    ratios, each of two medians. Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013.
    """
    if len(one.passes) != len(other.passes) or len(one.passes) < 2:
        return None
    ratios = np.log(np.divide(other.passes, one.passes))
    degrees = len(ratios) - 1
    half = float(stdtrit(degrees, 0.5 + confidence / 2)) * float(ratios.std(ddof=1)) / math.sqrt(len(ratios))
    middle = float(ratios.mean())
    return Interval(math.exp(middle - half), math.exp(middle + half))


def find_slow_threads(table: Sequence[Timing]) -> Iterator[MoreThreadsSlower]:
    """The batch sizes for which all threads that were timed are slower than one."""
    for alone in table:
        if alone.threads == 1:
            others = [timing for timing in table if timing.batch == alone.batch and timing.threads > 1]
            worst = max(others, key=lambda timing: timing.p50, default=None)
            if worst is not None and worst.p50 > SLOWER_ON_MORE * alone.p50:
                yield MoreThreadsSlower(alone.batch, worst.threads, worst.p50 / alone.p50)


def find_widest(tables: Iterable[Mapping[str, Sequence[Timing]]], reference: str) -> float:
    """The half-width of the widest interval that a decision needs, as a share: of the ratio of the reference to the
    fastest variant of each image. Endless where there are fewer than two passes, 0 where nothing is to be compared.
    """
    timings = [
        {name: timing for name, table in rows.items() if (timing := find_single_call(table)) is not None}
        for rows in tables
    ]
    base = next((rows[reference] for rows in timings if reference in rows), None)
    widths = [0.0]
    for rows in timings:
        others = [timing for name, timing in rows.items() if name != reference and not name.endswith(REPEAT_SUFFIX)]
        if base is not None and others:
            span = compute_ratio(min(others, key=lambda timing: timing.p50), base)
            widths.append(math.inf if span is None else math.sqrt(span.high / span.low) - 1)
    return max(widths)
