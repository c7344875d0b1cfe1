"""How many steps of a run are done, and about how long the others take."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from shared.artifacts import store
from shared.contract import Manifest, Plan, Step, read_if_whole

UNKNOWN = 0.25  # of the steps that are left: where nothing is known of more, there is no estimate
MINUTE, HOUR = 60, 3600  # seconds


class RunProgress:
    """`earlier` has the seconds that steps took in an earlier run, by their outputs."""

    def __init__(
        self, steps: Sequence[Step], earlier: Mapping[str, float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.steps = {step.output: step for step in steps}
        self.earlier, self.clock = earlier, clock
        self.begun = self.last = clock()
        self.seconds: dict[str, float] = {}  # of those that this run has made
        self.fresh: set[str] = set()
        self.current = ""

    @property
    def done(self) -> int:
        return len(self.seconds) + len(self.fresh - self.seconds.keys())

    @property
    def total(self) -> int:
        return len(self.steps)

    def start(self, output: str) -> None:
        self.current, self.last = output, self.clock()

    def finish(self, output: str, seconds: float | None) -> None:
        """`seconds`: None where there was nothing to do. What isn't of this run doesn't count."""
        if output not in self.steps:
            return
        self.current, self.last = "", self.clock()
        if seconds is None:
            self.fresh.add(output)
        else:
            self.seconds[output] = seconds

    def estimate_seconds(self) -> float | None:
        """About how long the steps take that are left; None where that can't be told."""
        left = [
            step for step in self.steps.values() if step.output not in self.seconds and step.output not in self.fresh
        ]
        expected = {step.output: self.expect(step) for step in left}
        unknown = sum(value is None for value in expected.values())
        if not left or unknown > UNKNOWN * len(left) or (unknown and not self.seconds):
            return 0.0 if not left else None
        typical = fmean(self.seconds.values()) if self.seconds else 0.0
        whole = {output: typical if value is None else value for output, value in expected.items()}
        running = min(self.clock() - self.last, whole.get(self.current, 0.0))
        return sum(whole.values()) + len(left) * self.overhead - running

    def expect(self, step: Step) -> float | None:
        """Of one step: what it took earlier, else the mean of what the same stage took in this run."""
        if step.output in self.earlier:
            return self.earlier[step.output]
        alike = [seconds for output, seconds in self.seconds.items() if self.steps[output].run == step.run]
        return fmean(alike) if alike else None

    @property
    def overhead(self) -> float:
        """What a step takes beside its own seconds, such as the start of its image, in the mean of this run."""
        if not self.seconds:
            return 0.0
        return max(0.0, self.last - self.begun - sum(self.seconds.values())) / len(self.seconds)

    def describe(self) -> str:
        """`12/45, about 2 min left`."""
        left = self.describe_remaining()
        return f"{self.done}/{self.total}{f', {left}' if left else ''}"

    def describe_remaining(self) -> str:
        """`about 2 min left`, rounded up; "" where nothing is known."""
        seconds = self.estimate_seconds()
        return "" if seconds is None or self.done == self.total else f"{describe_duration(seconds)} left"


def describe_duration(seconds: float) -> str:
    """
    >>> [describe_duration(seconds) for seconds in (20, 61, 3590, 5000)]
    ['about 1 min', 'about 2 min', 'about 1 h', 'about 1 h 30 min']
    """
    minutes = max(1, math.ceil(seconds / MINUTE))
    if minutes < HOUR // MINUTE:
        return f"about {minutes} min"
    hours, rest = divmod(10 * math.ceil(minutes / 10), HOUR // MINUTE)
    return f"about {hours} h {rest} min" if rest else f"about {hours} h"


def read_earlier_seconds(plan: Plan, steps: Sequence[Step]) -> dict[str, float]:
    """What each step took when its artifact was made, up to date or not, by its manifest."""
    paths = {step.output: store.artifact_path(plan, step.output) / store.MANIFEST for step in steps}
    manifests = {output: read_if_whole(Manifest, path) for output, path in paths.items()}
    return {output: manifest.seconds for output, manifest in manifests.items() if manifest is not None}
