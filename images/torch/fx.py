"""PyTorch's FX graph mode: observers put in, shown the calibration images, and turned into 8-bit operators."""

import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.fx.config
from torch.ao import quantization
from torch.ao.nn.intrinsic import quantized as fused
from torch.ao.nn.quantized import Conv2d, Linear
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from images.torch.convert import OnnxMatMul
from shared.errors import CrossquantError, Unsupported
from shared.progress import report

torch.fx.config.do_not_emit_stack_traces = (
    True  # for a debugger; each trace would import Inductor, which takes a second
)

COMPUTING = (torch.nn.Conv2d, torch.nn.Linear, OnnxMatMul)
QUANTIZED = (Conv2d, Linear, fused.ConvReLU2d, fused.LinearReLU)
IMAGES = "images.npy"
BATCH = 100


def quantize(
    module: torch.fx.GraphModule, mapping: quantization.QConfigMapping, calibration: Path
) -> torch.fx.GraphModule:
    """`module` in 8 bits, its ranges observed over the images in `calibration`."""
    return convert_fx(prepare(module, mapping, calibration))


def prepare(
    module: torch.fx.GraphModule, mapping: quantization.QConfigMapping, calibration: Path
) -> torch.fx.GraphModule:
    """`module` with observers that have seen the images in `calibration`. Unsupported names what can't be traced."""
    try:
        prepared = prepare_fx(module, mapping, example_inputs=(example(calibration),))
    except torch.fx.proxy.TraceError as error:
        where = layer_of(error, module)
        raise Unsupported(f"PyTorch's FX graph mode can't trace this model{where}: {error}") from error
    for images in batches(calibration / IMAGES):
        observe(prepared, images)
    return prepared


def observe(prepared: torch.fx.GraphModule, images: torch.Tensor) -> None:
    try:
        sound = bool(torch.isfinite(prepared(images)).all())
    except RuntimeError as error:  # a histogram's, of what is not a number
        if "finite" not in str(error):
            raise
        sound = False
    if not sound:
        raise CrossquantError("the float model gives NaN or infinity for a calibration image: look at its weights")


def exclude(mapping: quantization.QConfigMapping, modules: Iterable[str]) -> quantization.QConfigMapping:
    """`mapping`, changed: these modules stay in float."""
    for name in modules:
        mapping.set_module_name(name, None)
    return mapping


def batches(path: Path) -> Iterator[torch.Tensor]:
    """The float32 images in the file at `path`, (n, height, width, channels), in batches; checked.

    Memory doesn't grow with their number: each batch has a mapping of the file of its own.
    """
    total = len(np.load(path, mmap_mode="r"))
    for start in range(0, total, BATCH):
        images = np.array(np.load(path, mmap_mode="r")[start : start + BATCH])
        if not np.isfinite(images).all():
            first = start + int(np.flatnonzero(~np.isfinite(images).reshape(len(images), -1).all(axis=1))[0])
            raise CrossquantError(f"calibration image {first} has NaN or infinity: make the calibration set anew")
        yield torch.from_numpy(images)
        report(start + len(images), total)


def example(calibration: Path) -> torch.Tensor:
    """The first two images. CrossquantError where there are none."""
    images = np.array(np.load(calibration / IMAGES, mmap_mode="r")[:2])
    if not len(images):
        raise CrossquantError("the calibration set is empty: raise calibration.images")
    return torch.from_numpy(images)


def count(module: torch.nn.Module, kinds: tuple[type, ...], without: Iterable[str] = ()) -> int:
    """Modules of these kinds, those in `without` excepted; a padded convolution lies inside of its module."""
    left_out = set(without)
    return sum(isinstance(item, kinds) for name, item in module.named_modules() if name.split(".")[0] not in left_out)


def layer_of(error: BaseException, module: torch.nn.Module) -> str:
    """Where a trace failed: the last module that was called, with what it is; "" where there is none."""
    known = {id(item): name for name, item in module.named_modules() if name}
    called = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    inner = [item for item in called if id(item) in known]
    return f" at layer '{known[id(inner[-1])]}' ({type(inner[-1]).__name__})" if inner else ""
