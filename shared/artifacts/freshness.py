"""Decides whether an artifact is what a run would make now, by content alone: inputs, code, parameters."""

from dataclasses import dataclass
from typing import Literal

from shared.artifacts import store
from shared.contract import Manifest, Plan, Step

State = Literal["fresh", "stale", "absent", "damaged", "not applicable"]


@dataclass(frozen=True)
class Inputs:
    """The inputs that a step would read now.

    `digests` has each input's digest, "" where it has none; `missing` names the first required input that is not up
    to date, `not_applicable` the first whose manifest says `unsupported`: then the step has nothing to do, which is no
    failure.
    """

    digests: dict[str, str]
    missing: str = ""
    not_applicable: str = ""


class Freshness:
    """The states of artifacts on the volume when they were first read; after `forget` they are read again.

    Each artifact is hashed once, and again only if another one has replaced it. `isolated`: the volume has only the
    inputs of one step, which the driver has checked.
    """

    def __init__(self, plan: Plan, *, isolated: bool = False) -> None:
        self.plan, self.isolated = plan, isolated
        self.steps = {step.output: step for step in plan.steps}
        self._hashed: dict[str, tuple[store.Identity | None, Manifest | None]] = {}
        self._seals: dict[str, Manifest | None] = {}
        self._damaged: set[str] = set()
        self._states: dict[str, State] = {}

    def manifest(self, name: str) -> Manifest | None:
        """Return the verified manifest of `name`, up to date or not; None if it is absent or damaged."""
        if name not in self._seals:
            self._seals[name] = self._look(name)
        return self._seals[name]

    def _look(self, name: str) -> Manifest | None:
        path = store.artifact_path(self.plan, name)
        identity = store.identity(path)
        if name not in self._hashed or self._hashed[name][0] != identity:
            self._damaged.discard(name)
            try:
                self._hashed[name] = identity, store.read_verified_manifest(path, name)
            except store.Damaged:
                self._hashed[name] = identity, None
                self._damaged.add(name)
        return self._hashed[name][1]

    def current(self, name: str) -> Manifest | None:
        """Return the manifest of `name` if it and all that it depends on are what a run would make now, or None."""
        if name in self.steps and not self.isolated and self.state(self.steps[name]) != "fresh":
            return None
        return self.manifest(name)

    def forget(self) -> None:
        """Read the artifacts again when they are next asked for."""
        self._seals.clear()
        self._states.clear()

    def published(self, name: str, manifest: Manifest) -> None:
        """Record that this process has just written the artifact: its files need not be hashed again."""
        self._hashed[name] = store.identity(store.artifact_path(self.plan, name)), manifest
        self._damaged.discard(name)
        self.forget()

    def inputs(self, step: Step) -> Inputs:
        digests, missing, not_applicable = {}, "", ""
        for name in step.inputs:
            manifest = self.current(name)
            digests[name] = store.digest(manifest) if manifest else ""
            if self._is_not_applicable(name, manifest):
                not_applicable = not_applicable or name
            elif manifest is None:
                missing = missing or name
        for name in step.optional:
            manifest = self.current(name)
            digests[name] = store.digest(manifest) if manifest and manifest.status == "ok" else ""
        return Inputs(digests, missing, not_applicable)

    def _is_not_applicable(self, name: str, manifest: Manifest | None) -> bool:
        if manifest is not None:
            return manifest.status == "unsupported"
        return name in self.steps and not self.isolated and self.state(self.steps[name]) == "not applicable"

    def state(self, step: Step) -> State:
        if step.output not in self._states:
            self._states[step.output] = self._state(step)
        return self._states[step.output]

    def _state(self, step: Step) -> State:
        inputs = self.inputs(step)
        if inputs.not_applicable:
            return "not applicable"
        manifest = self.manifest(step.output)
        if manifest is None:
            return "damaged" if step.output in self._damaged else "absent"
        now = (inputs.digests, step.code, step.parameters)
        same = now == (manifest.inputs, manifest.code, manifest.parameters)
        return "fresh" if same and not inputs.missing else "stale"

    def done(self, step: Step) -> bool:
        """Return whether there is nothing to run: the artifact is fresh, or its input is `unsupported`."""
        return self.state(step) in ("fresh", "not applicable")
