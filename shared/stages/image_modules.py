"""The two modules that an image provides to shared stages; its `stages.toml` names them under `modules` of a stage.

The runner imports them before the fork and passes them to `run` by keyword. No shared module imports an image.
"""

from pathlib import Path
from typing import Protocol

from shared.measure.predictions import Model


class Runtime(Protocol):
    """The module that opens a variant.

    It imports no more than what runs the model: the cold start of a fresh process, and every start under emulation, is
    measured with the import of this module.
    """

    __name__: str

    def load(self, variant: Path, thread_count: int) -> Model:
        """The model in the folder `variant` as a callable, on `thread_count` threads."""
        ...


class ComputedBytes(Protocol):
    """The module that counts what the framework computes of one sample (shared/measure/sample_bytes.py)."""

    def per_sample(self, variant: Path, dataset: Path) -> int:
        """Bytes of all tensors of the model in `variant` for one more sample of `dataset`; 0 for a fixed batch."""
        ...
