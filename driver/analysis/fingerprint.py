"""One digest of all that a comparison is made from: where it is the same, nothing has to be computed again.

Nothing here imports NumPy: a run with nothing to do needs no more than this.
"""

import hashlib
import json
from dataclasses import asdict

from driver.experiment.model import SAMPLE_SUFFIX, Experiment
from driver.host import facts
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.command import format_command
from shared.contract import Failure, Plan, read_shown
from shared.errors import CrossquantError

DATASET = "input.dataset"


def compute_fingerprint(freshness: Freshness, experiment: Experiment) -> str:
    """What is on the volume, the experiment, this host, and our own code."""
    plan = freshness.plan
    states = {step.output: freshness.state(step) for step in plan.steps}
    failures = [asdict(failure) for step in plan.steps if (failure := read_failure(plan, step.output))]
    own = store.tree_hash("shared", "driver")
    everything = [list_digests(freshness), states, failures, asdict(experiment), own, facts.describe()]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def list_digests(freshness: Freshness) -> dict[str, str]:
    """The digest of each artifact and input that is up to date."""
    names = sorted(freshness.plan.locations)  # a plan that was read has another order than one that was made
    manifests = {name: freshness.current(name) for name in names}
    return {name: store.digest(manifest) for name, manifest in manifests.items() if manifest is not None}


def read_failure(plan: Plan, name: str) -> Failure | None:
    """The failure that the stage of `name` left."""
    path = store.failure_path(plan, name)
    try:
        return read_shown(Failure, path) if path.exists() else None
    except CrossquantError:  # damaged: that it failed is known, and the next run finds out why
        return Failure(name, "failed", f"the record of why it failed is damaged: run `{make_command(plan, name)}`")


def make_command(plan: Plan, *arguments: str) -> str:
    """What makes an artifact anew on the data that the others were made from, the embedded sample or all."""
    sample = ["--sample"] if plan.locations.get(DATASET, "").endswith(SAMPLE_SUFFIX) else []
    return format_command("run", plan.experiment, *sample, *arguments)
