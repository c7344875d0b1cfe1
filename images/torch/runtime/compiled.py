"""A file of torch.export that torch.compile compiles in the process that loads it: the first calls take long."""

from pathlib import Path

import torch
import torch._dynamo.config as dynamo

from images.torch.runtime import exported, inductor

RECOMPILE_LIMIT = 4  # more compilations are an error: each takes seconds, and PyTorch would otherwise say nothing


def open_model(variant: Path, about: dict[str, str]) -> exported.Call:
    """Load the program, to be compiled by its first calls: for one sample, for many, and for fewer than 16, for which
    convolutions are computed in another way.
    """
    inductor.configure_inductor(compiler=True)
    dynamo.recompile_limit = RECOMPILE_LIMIT
    dynamo.fail_on_recompile_limit_hit = True
    return torch.compile(exported.open_model(variant, about), dynamic=True, fullgraph=True)
