"""How many bytes of tensors PyTorch computes for a sample: those that its operators give when it answers one."""

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
    """Of all tensors of the model in `variant`; 0 for one of a fixed batch, which takes what it takes."""
    if formats.read(variant, formats.CONVERSION_JSON).get("batch", 0):
        return 0
    compiled = formats.read(variant).get("form") == formats.AOT
    count = allocated if compiled else given
    call = formats.open_form(variant, compiling=False)
    return sample_bytes.per_sample(lambda batch: count(call, formats.typed(variant, batch)), dataset)


def of(call: Call, dataset: Path, total: Callable[[Call, Batch], int] | None = None) -> int:
    count = total or given
    return sample_bytes.per_sample(lambda batch: count(call, batch), dataset)


class Outputs(TorchDispatchMode):
    """Adds up what every operator gives, views of what there was before excepted."""

    def __init__(self) -> None:
        super().__init__()
        self.nbytes = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Else PyTorch imports Dynamo to turn it off here, where it isn't on: seconds in each fork."""
        return False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = function(*args, **(kwargs or {}))
        tensors = answer if isinstance(answer, tuple | list) else (answer,)
        if not function.is_view:
            self.nbytes += sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))
        return answer


def given(call: Call, batch: Batch) -> int:
    with torch.inference_mode(), Outputs() as outputs:
        call(*map(torch.from_numpy, batch))
    return outputs.nbytes


def allocated(call: Call, batch: Batch) -> int:
    """Of machine code, which calls few operators: what it asked for, freed or not."""
    with torch.inference_mode(), profile(profile_memory=True) as watched:
        call(*map(torch.from_numpy, batch))
    return sum(max(0, event.self_cpu_memory_usage) for event in watched.function_events)
