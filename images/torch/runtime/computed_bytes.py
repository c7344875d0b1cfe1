"""Counts the bytes of the tensors that PyTorch computes for a sample: the outputs of its operators."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.autograd.profiler import profile
from torch.utils._python_dispatch import TorchDispatchMode

from images.torch.runtime import formats
from shared.data.samples import Batch
from shared.measure import sample_bytes

Call = Callable[..., Any]


def per_sample(variant: Path, dataset: Path) -> int:
    """Return the bytes that the model in `variant` computes for one sample, or 0 if its batch size is fixed."""
    if formats.read_json(variant, formats.CONVERSION_JSON).get("batch", 0):
        return 0
    is_compiled = formats.read_json(variant).get("form") == formats.AOT
    count = count_allocated_bytes if is_compiled else count_output_bytes
    call = formats.open_form(variant, compiling=False)
    return sample_bytes.per_sample(lambda batch: count(call, formats.cast_inputs(variant, batch)), dataset)


def per_sample_of_call(call: Call, dataset: Path) -> int:
    """Return the bytes that `call`, a module for example, computes for one sample."""
    return sample_bytes.per_sample(lambda batch: count_output_bytes(call, batch), dataset)


class Outputs(TorchDispatchMode):
    """Adds up the bytes of every operator's outputs, except views of earlier tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.nbytes = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: otherwise PyTorch imports Dynamo only to turn it off here, which takes seconds in each fork."""
        return False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = function(*args, **(kwargs or {}))
        tensors = answer if isinstance(answer, tuple | list) else (answer,)
        if not function.is_view:
            self.nbytes += sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))
        return answer


def count_output_bytes(call: Call, batch: Batch) -> int:
    """Return the bytes of all operators' outputs for this batch."""
    with torch.inference_mode(), Outputs() as outputs:
        call(*map(torch.from_numpy, batch))
    return outputs.nbytes


def count_allocated_bytes(call: Call, batch: Batch) -> int:
    """Return the bytes that are allocated for this batch, freed or not: machine code calls few operators."""
    with torch.inference_mode(), profile(profile_memory=True) as profiler:
        call(*map(torch.from_numpy, batch))
    return sum(max(0, event.self_cpu_memory_usage) for event in profiler.function_events)
