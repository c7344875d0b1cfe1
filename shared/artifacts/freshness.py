"""Is an artifact what a run would make now? Decided by content alone: inputs, code, parameters."""

from dataclasses import dataclass
from typing import Literal

from shared.artifacts import store
from shared.contract import Plan, Seal, Step

State = Literal["fresh", "stale", "absent", "damaged", "void"]


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
    """What is on the volume, as it was when it was first looked at; `forget` looks again.

    Each artifact is hashed once, and again only where another one has taken its place. `isolated`: only the inputs of
    one step are there, and whoever put them there has checked them.
    """

    def __init__(self, plan: Plan, *, isolated: bool = False) -> None:
        self.plan, self.isolated = plan, isolated
        self.steps = {step.output: step for step in plan.steps}
        self._hashed: dict[str, tuple[store.Identity | None, Seal | None]] = {}
        self._seals: dict[str, Seal | None] = {}
        self._damaged: set[str] = set()
        self._states: dict[str, State] = {}

    def seal(self, name: str) -> Seal | None:
        """The verified seal of `name`, up to date or not; None where it is absent or damaged."""
        if name not in self._seals:
            self._seals[name] = self._look(name)
        return self._seals[name]

    def _look(self, name: str) -> Seal | None:
        path = store.artifact_path(self.plan, name)
        found = store.identity(path)
        if name not in self._hashed or self._hashed[name][0] != found:
            self._damaged.discard(name)
            try:
                self._hashed[name] = found, store.open_sealed(path, name)
            except store.Damaged:
                self._hashed[name] = found, None
                self._damaged.add(name)
        return self._hashed[name][1]

    def current(self, name: str) -> Seal | None:
        """The seal of `name` if it is what a run would make now, all the way up to the experiment's own inputs."""
        if name in self.steps and not self.isolated and self.state(self.steps[name]) != "fresh":
            return None
        return self.seal(name)

    def forget(self) -> None:
        """Look again at what is on the volume."""
        self._seals.clear()
        self._states.clear()

    def published(self, name: str, seal: Seal) -> None:
        """The artifact was just sealed with `seal`, by this process: its files need not be hashed again."""
        self._hashed[name] = store.identity(store.artifact_path(self.plan, name)), seal
        self._damaged.discard(name)
        self.forget()

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
        return name in self.steps and not self.isolated and self.state(self.steps[name]) == "void"

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
            return "damaged" if step.output in self._damaged else "absent"
        now = (inputs.digests, step.code, step.parameters)
        same = now == (seal.inputs, seal.code, seal.parameters)
        return "fresh" if same and not inputs.missing else "stale"

    def done(self, step: Step) -> bool:
        """Nothing to run: the artifact is fresh, or its input is `unsupported`."""
        return self.state(step) in ("fresh", "void")
