"""Searches for the layers to leave in float so that a limit holds: as few as a number of trials finds."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from shared.runner.progress import report

EXCLUDED = "excluded.json"
ROUNDING = 1e-9  # of a difference of accuracies
Excluded = tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    excluded: Excluded
    accuracy: float


@dataclass
class Search:
    """`least` is the accuracy wanted, `limit` how many trials there may be."""

    least: float
    limit: int
    trials: list[Trial] = field(default_factory=list)

    def run(self, evaluate: Callable[[Excluded], float], order: Callable[[], Excluded]) -> Trial:
        """Return the trial with the fewest layers that holds or, if none does, the best one.

        `evaluate` gives the accuracy with these layers left out, `order` the layers, the most sensitive first; it is
        not called where nothing need be left out. First 1, 2, 4 … of the first layers until `least` holds, then by
        halves what is between, then without each one.
        """
        self.evaluate = evaluate
        if not self.holds(()):
            layers = order()
            enough = self.grow(layers)
            self.halve(layers, enough // 2, enough)
        held = self.held()
        if not held:
            return max(self.trials, key=lambda trial: (trial.accuracy, -len(trial.excluded)))
        self.prune(min(held, key=lambda trial: len(trial.excluded)).excluded)
        return min(self.held(), key=lambda trial: (len(trial.excluded), -trial.accuracy))

    def held(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.accuracy >= self.least]

    def holds(self, excluded: Sequence[str]) -> bool:
        """Evaluate the model with these layers in float. If no trial is left, it counts as not holding."""
        wanted = tuple(excluded)
        if len(self.trials) >= self.limit:
            return False
        if wanted not in [trial.excluded for trial in self.trials]:
            self.trials.append(Trial(wanted, self.evaluate(wanted)))
            report(len(self.trials), self.limit)
        return next(trial.accuracy for trial in self.trials if trial.excluded == wanted) >= self.least

    def grow(self, layers: Excluded) -> int:
        """The first of 1, 2, 4 …, all that holds; 0 where none does."""
        counts = [1 << power for power in range(len(layers).bit_length())]
        return next((count for count in [*counts, len(layers)] if self.holds(layers[:count])), 0)

    def halve(self, layers: Excluded, low: int, high: int) -> None:
        """`high` layers are enough, `low` aren't."""
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.holds(layers[:middle]) else (middle, high)

    def prune(self, excluded: Excluded) -> None:
        """Quantize the layers again one after the other, the least sensitive first, as long as the limit holds."""
        for name in reversed(excluded):
            fewer = tuple(item for item in excluded if item != name)
            excluded = fewer if self.holds(fewer) else excluded


def least(exact: float, max_drop_pp: float) -> float:
    """The accuracy wanted of a model that has `exact` in float, and may lose `max_drop_pp` percentage points."""
    return exact - max_drop_pp / 100 - ROUNDING


def record(search: Search, best: Trial, exact: float, layers: Sequence[str], out: Path) -> None:
    """Write `excluded.json`: `layers` in float, all trials, the float model's accuracy, and whether the limit holds."""
    contents = {
        "layers": list(layers),
        "trials": [asdict(trial) for trial in search.trials],
        "float_accuracy": exact,
        "holds": best.accuracy >= search.least,
    }
    (out / EXCLUDED).write_text(json.dumps(contents, indent=1))
