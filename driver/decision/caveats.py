"""The caveats of a decision: what a reader must know before the file is shipped."""

from collections.abc import Iterator, Sequence

from driver.analysis.facts import Caveat, ClassLoses, NotCheckedWithoutVnni, OnlyFidelityKnown
from driver.analysis.results import Variant
from driver.experiment.task_specs import DEFAULT_TASK, TASKS
from shared.emulation import cpus


def list_caveats(chosen: Variant, reference: str, targets: Sequence[str], task: str = DEFAULT_TASK) -> Iterator[Caveat]:
    """Those that follow from the chosen variant's row."""
    if TASKS[task].evaluated_against == "reference":
        yield OnlyFidelityKnown(reference)
    if chosen.may_saturate and not chosen.saturated and not any(map(cpus.saturates, targets)):
        yield NotCheckedWithoutVnni()
    if chosen.losing:
        worst = max(chosen.losing, key=lambda item: -item.paired.delta_pp)
        yield ClassLoses(worst.label, -worst.paired.delta_pp, worst.paired.p_holm or 0.0, len(chosen.losing) - 1)
