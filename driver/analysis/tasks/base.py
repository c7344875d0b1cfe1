"""What a task's module gets to compute metrics from, and what it gives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driver.analysis.bootstrap import WeightedMetric
from driver.analysis.results import Breakdown
from shared.data.samples import About, Array
from shared.positions import PositionCounts

Flags: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.int64]
# Of a metric that is a share of right answers, which answers are right, (counted samples,): its interval and test are
# exact. Of any other, the metric as a function of resampling weights: driver/analysis/bootstrap.py.
Computation: TypeAlias = Flags | WeightedMetric


class EvaluatedOutput(Protocol):
    """The evaluated output of one variant with what it is compared with; arrays have one entry a sample."""

    @property
    def about(self) -> About: ...
    @property
    def outputs(self) -> Array: ...
    @property
    def labels(self) -> Array | None: ...
    @property
    def inputs(self) -> Array | None: ...
    @property
    def reference(self) -> Array | None: ...
    @property
    def logits(self) -> bool | None: ...
    @property
    def classes(self) -> NDArray[np.intp]: ...
    @property
    def right(self) -> Flags: ...
    @property
    def boxes(self) -> Array | None: ...
    @property
    def position_counts(self) -> PositionCounts: ...


def have_no_parts(_: EvaluatedOutput) -> tuple[Breakdown, ...]:
    """Of a task whose metrics are of samples as a whole."""
    return ()


@dataclass(frozen=True)
class TaskMetrics:
    """What a task's module offers.

    `compute` returns the computation of each metric by its name, the headline first. `check` raises CrossquantError
    where the outputs don't fit the labels or inputs that they are compared with. `break_down` returns what metrics are
    of each class, or of each step. `find_counted` returns from the labels the samples that a share of right answers
    counts, (counted samples,); None where it counts all of them. `name_headline` returns the headline metric of samples
    that nothing has answered yet, "" for that of the task's spec.
    """

    compute: Callable[[EvaluatedOutput], dict[str, Computation]]
    check: Callable[[EvaluatedOutput], None]
    break_down: Callable[[EvaluatedOutput], tuple[Breakdown, ...]] = have_no_parts
    find_counted: Callable[[Array], Indices | None] = lambda _: None
    name_headline: Callable[[About], str] = lambda _: ""
