"""Static quantization after training, by PyTorch's FX graph mode."""

import json
from pathlib import Path

import numpy as np
import torch
import torch._inductor  # FX loads it on its first trace: a second that every fork would pay again
from torch.ao import quantization
from torch.ao.nn.intrinsic import quantized as fused
from torch.ao.nn.quantized import Conv2d, Linear
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from images.torch.convert import OnnxMatMul, to_module
from images.torch.script import QUANTIZED_JSON, save
from shared.errors import Unsupported
from shared.guards import check_quantized
from shared.progress import report

TYPES = {"qint8": torch.qint8, "quint8": torch.quint8}
COMPUTING = (torch.nn.Conv2d, torch.nn.Linear, OnnxMatMul)
QUANTIZED = (Conv2d, Linear, fused.ConvReLU2d, fused.LinearReLU)
BATCH = 100


def run(model: Path, calibration: Path, out: Path, *, backend: str, activation: str, weight: str) -> None:
    """Write `model.pt` and `quantized.json`. Unsupported where PyTorch leaves layers in float."""
    torch.backends.quantized.engine = backend
    module = to_module(model)
    total = count(module, COMPUTING)
    config = qconfig(backend, TYPES[activation], TYPES[weight])
    images = np.load(calibration / "images.npy", mmap_mode="r")
    with torch.no_grad():
        mapping = quantization.get_default_qconfig_mapping(backend).set_global(config)
        converted = quantize(module, mapping, images)
        quantized = count(converted, QUANTIZED)
        check_quantized("PyTorch", quantized, total, own_check(config))
        save(converted, batch(images, 0), out)
    about = {"engine": backend, "quantized": quantized, "operators": total}
    (out / QUANTIZED_JSON).write_text(json.dumps(about))


def qconfig(backend: str, activation: torch.dtype, weight: torch.dtype) -> quantization.QConfig:
    """PyTorch's own choice of observers for `backend`, with the types that the recipe asks for."""
    chosen = quantization.get_default_qconfig(backend)
    if activation != torch.quint8:
        chosen = chosen._replace(activation=chosen.activation.with_args(dtype=activation))
    if weight != torch.qint8:
        affine = quantization.MinMaxObserver.with_args(dtype=weight, qscheme=torch.per_tensor_affine)
        chosen = chosen._replace(weight=affine)
    return chosen


def quantize(
    module: torch.fx.GraphModule, mapping: quantization.QConfigMapping, images: np.ndarray
) -> torch.fx.GraphModule:
    """`module` in 8 bits, its ranges observed over `images`, (n, height, width, channels) float32."""
    try:
        prepared = prepare_fx(module, mapping, example_inputs=(batch(images, 0),))
    except torch.fx.proxy.TraceError as error:
        raise Unsupported(f"PyTorch's FX graph mode can't trace this model: {error}") from error
    for start in range(0, len(images), BATCH):
        prepared(batch(images, start))
        report(min(start + BATCH, len(images)), len(images))
    return convert_fx(prepared)


def batch(images: np.ndarray, start: int) -> torch.Tensor:
    return torch.from_numpy(np.array(images[start : start + BATCH]))


def count(module: torch.nn.Module, kinds: tuple[type, ...]) -> int:
    return sum(isinstance(item, kinds) for item in module.modules())


def own_check(config: quantization.QConfig) -> str:
    """What eager mode says of this recipe on one convolution; "" where it has no objection."""
    layer = torch.nn.Conv2d(1, 1, 1)
    layer.qconfig = config  # type: ignore[assignment]
    layer.activation_post_process = config.activation()
    layer.activation_post_process(torch.rand(1, 1, 2, 2))
    try:
        Conv2d.from_float(layer)
    except (AssertionError, RuntimeError) as error:
        return f"PyTorch's eager mode says: {error}"
    return ""
