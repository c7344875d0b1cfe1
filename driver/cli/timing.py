"""More passes of the timings, until what decides is known well enough, or the experiment's time for it is spent."""

from collections.abc import Sequence

from driver.experiment.model import Experiment
from shared.artifacts.freshness import Freshness
from shared.contract import Step


def find_next_pass(freshness: Freshness, experiment: Experiment) -> list[str]:
    """The timings of one more pass of each image; none where that would tell nothing, or may not be.

    Only what is sound and up to date counts: a pass that failed is not tried again in another one.
    """
    from driver.analysis import speed, timing_summary  # SciPy takes half a second
    from driver.analysis.artifacts import Evidence

    evidence = Evidence(freshness)
    passes = [step for step in freshness.plan.steps if step.run == "latency"]
    made = [step for step in passes if evidence.manifest(step.output) is not None]
    waiting = [step for step in passes if step not in made and not step.default]
    if not waiting or any(step.default and step not in made for step in passes) or not made:
        return []
    if sum_seconds(freshness, made) >= experiment.timing.budget_seconds:
        return []
    tables = [timing_summary.summarize_timings(group) for group in evidence.passes().values()]
    if speed.find_widest(tables, experiment.reference) <= speed.NARROW:
        return []
    turn = min(step.turn for step in waiting)
    return [step.output for step in waiting if step.turn == turn]


def sum_seconds(freshness: Freshness, steps: Sequence[Step]) -> float:
    """What the passes took, in seconds, by their manifests."""
    manifests = [freshness.current(step.output) for step in steps]
    return sum(manifest.seconds for manifest in manifests if manifest is not None)
