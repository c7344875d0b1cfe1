"""Is an artifact what a run would make now? Decided by content alone: inputs, code, parameters."""

from dataclasses import dataclass
from typing import Literal

from shared import store
from shared.contract import Plan, Seal, Step

State = Literal["fresh", "stale", "absent", "void"]


@dataclass(frozen=True)
class Inputs:
    """What a step would read now.

    `digests` has each input's digest, "" where it has none; `missing` names the first required input that is not up
    to date, `void` the first that is sealed `unsupported`: then the step has nothing to do, and that is no failure.
    """

    digests: dict[str, str]
    missing: str = ""
    void: str = ""


class Freshness:
    """Reads each artifact once; call `forget` for one that has been made anew."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.steps = {step.output: step for step in plan.steps}
        self._seals: dict[str, Seal | None] = {}
        self._states: dict[str, State] = {}

    def seal(self, name: str) -> Seal | None:
        """The verified seal of `name`, up to date or not."""
        if name not in self._seals:
            self._seals[name] = store.open_sealed(store.artifact_path(self.plan, name), name)
        return self._seals[name]

    def current(self, name: str) -> Seal | None:
        """The seal of `name` if it is what a run would make now, all the way up to the experiment's own inputs."""
        if name in self.steps and self.state(self.steps[name]) != "fresh":
            return None
        return self.seal(name)

    def forget(self, name: str) -> None:
        self._seals.pop(name, None)
        self._states.clear()

    def inputs(self, step: Step) -> Inputs:
        digests, missing, void = {}, "", ""
        for name in step.inputs:
            seal = self.current(name)
            digests[name] = store.digest(seal) if seal else ""
            if self._void(name, seal):
                void = void or name
            elif seal is None:
                missing = missing or name
        for name in step.optional:
            seal = self.current(name)
            digests[name] = store.digest(seal) if seal and seal.status == "ok" else ""
        return Inputs(digests, missing, void)

    def _void(self, name: str, seal: Seal | None) -> bool:
        if seal is not None:
            return seal.status == "unsupported"
        return name in self.steps and self.state(self.steps[name]) == "void"

    def state(self, step: Step) -> State:
        if step.output not in self._states:
            self._states[step.output] = self._state(step)
        return self._states[step.output]

    def _state(self, step: Step) -> State:
        inputs = self.inputs(step)
        if inputs.void:
            return "void"
        seal = self.seal(step.output)
        if seal is None:
            return "absent"
        now = (inputs.digests, self.plan.code[step.image], step.parameters)
        same = now == (seal.inputs, seal.code, seal.parameters)
        return "fresh" if same and not inputs.missing else "stale"

    def done(self, step: Step) -> bool:
        """Nothing to run: the artifact is fresh, or its input is `unsupported`."""
        return self.state(step) in ("fresh", "void")
