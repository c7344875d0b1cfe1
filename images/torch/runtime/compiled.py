"""A file of torch.export, compiled by torch.compile in the process that loads it: its first calls take long."""

from pathlib import Path

import torch
import torch._dynamo.config as dynamo

from images.torch.runtime import exported, inductor

MOST = 4  # more compilations would be a storm, which is an error and not patience or, worse, silence


def open_model(variant: Path, about: dict[str, str]) -> exported.Call:
    """Compiled for one image and for many; once more for few (a convolution of under 16 is computed in another way)."""
    inductor.prepare(compiler=True)
    dynamo.recompile_limit = MOST
    dynamo.fail_on_recompile_limit_hit = True
    return torch.compile(exported.open_model(variant, about), dynamic=True, fullgraph=True)
