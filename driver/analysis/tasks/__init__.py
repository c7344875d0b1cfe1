"""The metrics of each task, computed from a variant's outputs: one module a task."""

from collections.abc import Callable

from driver.analysis.tasks import classification, fidelity, multilabel, reconstruction, regression
from driver.analysis.tasks.base import Computation, Judged

COMPUTE: dict[str, Callable[[Judged], dict[str, Computation]]] = {
    "classification": classification.compute,
    "multilabel": multilabel.compute,
    "regression": regression.compute,
    "reconstruction": reconstruction.compute,
    "fidelity": fidelity.compute,
}  # the headline comes first
CHECK: dict[str, Callable[[Judged], None]] = {
    "classification": classification.check,
    "multilabel": multilabel.check,
    "regression": regression.check,
    "reconstruction": reconstruction.check,
    "fidelity": fidelity.check,
}  # CrossquantError where the outputs are of another form than what they are held against
