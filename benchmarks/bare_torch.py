"""The PyTorch part by hand: onnx2torch, three FX recipes of which one is refused, TorchScript, predict, time.

`python bare_torch.py DATASET OUT`, in the environment of the torch image, after bare_onnx.py.
"""

import copy
import json
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch.ao.nn.intrinsic.quantized import ConvReLU2d, LinearReLU
from torch.ao.nn.quantized import Conv2d, Linear
from torch.ao.quantization import MinMaxObserver, get_default_qconfig, get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

# onnx2torch imports torchvision for detection operators alone; the environment leaves it out.
operators = types.ModuleType("torchvision.ops")
operators.__dict__.update(nms=None, box_convert=None, roi_align=None)
sys.modules["torchvision"], sys.modules["torchvision.ops"] = types.ModuleType("torchvision"), operators
from onnx2torch import convert  # noqa: E402
from onnx2torch.node_converters.reshape import OnnxReshape  # noqa: E402

Floats = NDArray[np.float32]
Model = Callable[[Floats], Floats]

THREADS, BATCH, CALIBRATION_BATCH = 2, 250, 100
ROUNDS, CALLS, WARM_UP, MANY = 20, 20, 20, 64
RECIPES = {"int8": ("fbgemm", torch.qint8), "x86": ("x86", torch.qint8), "uint8": ("fbgemm", torch.quint8)}
ENGINES = {"fp32": "fbgemm", **{name: engine for name, (engine, _) in RECIPES.items()}}


def to_torch(path: Path) -> torch.fx.GraphModule:
    module = convert(onnx.load(path)).eval()
    for node in list(module.graph.nodes):
        # onnx2torch keeps the target of a Reshape as data, and the quantizer rounds what follows once more.
        if node.op == "call_module" and isinstance(module.get_submodule(node.target), OnnxReshape):
            data, target = node.args
            with module.graph.inserting_before(node):
                sizes = module.get_buffer(target.target).tolist()
                node.replace_all_uses_with(module.graph.call_method("reshape", (data, *sizes)))
            module.graph.erase_node(node)
    module.recompile()
    for parameter in module.parameters():
        parameter.data = parameter.data.contiguous()
    return module


def quantize(
    module: torch.fx.GraphModule, images: torch.Tensor, engine: str, weight: torch.dtype
) -> torch.fx.GraphModule:
    torch.backends.quantized.engine = engine
    config = get_default_qconfig(engine)
    if weight != torch.qint8:
        config = config._replace(weight=MinMaxObserver.with_args(dtype=weight, qscheme=torch.per_tensor_affine))
    mapping = get_default_qconfig_mapping(engine).set_global(config)
    prepared = prepare_fx(copy.deepcopy(module), mapping, example_inputs=(images[:2],))
    for start in range(0, len(images), CALIBRATION_BATCH):
        prepared(images[start : start + CALIBRATION_BATCH])
    return convert_fx(prepared, qconfig_mapping=mapping)


def quantized_layers(module: torch.nn.Module) -> int:
    return sum(isinstance(layer, (Conv2d, Linear, ConvReLU2d, LinearReLU)) for layer in module.modules())


def save(module: torch.nn.Module, images: torch.Tensor, path: Path) -> None:
    torch.jit.save(torch.jit.freeze(torch.jit.trace(module, images[:CALIBRATION_BATCH])), path)


def make(out: Path) -> list[str]:
    """The names of the variants that there are."""
    images = torch.from_numpy(np.load(out / "calibration.npy"))
    module = to_torch(out / "onnx.fp32.onnx")
    save(module, images[:2], out / "torch.fp32.pt")
    made = ["fp32"]
    for name, (engine, weight) in RECIPES.items():
        converted = quantize(module, images, engine, weight)
        if quantized_layers(converted):
            save(converted, images, out / f"torch.{name}.pt")
            made.append(name)
        else:
            print(f"torch.{name}: no layer was quantized")
    return made


def load(out: Path, name: str, threads: int) -> Model:
    torch.backends.quantized.engine = ENGINES[name]
    torch.set_num_threads(threads)
    module = torch.jit.load(out / f"torch.{name}.pt")
    return lambda images: module(torch.from_numpy(images)).numpy()


def predict(dataset: Path, out: Path, names: list[str]) -> None:
    images = np.load(dataset / "x_test_0.npy", mmap_mode="r")
    for name in names:
        model = load(out, name, THREADS)
        answers = [model(images[i : i + BATCH].astype(np.float32)) for i in range(0, len(images), BATCH)]
        np.save(out / f"predictions.torch.{name}.npy", np.concatenate(answers))


def latency(dataset: Path, out: Path, names: list[str]) -> None:
    models = {name: load(out, name, 1) for name in names}
    images = np.load(dataset / "x_test_0.npy", mmap_mode="r")[:MANY].astype(np.float32)
    samples: dict[str, list[tuple[list[float], list[float]]]] = {name: [] for name in names}
    for model in models.values():
        timed(model, images[:1], WARM_UP)
        timed(model, images, 2)
    for _ in range(ROUNDS):
        for name, model in models.items():
            samples[name].append((timed(model, images[:1], CALLS), timed(model, images, 1)))
    (out / "latency.torch.json").write_text(json.dumps(samples))


def timed(model: Model, images: Floats, calls: int) -> list[float]:
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        model(images)
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    dataset, out = map(Path, sys.argv[1:])
    torch.set_num_threads(THREADS)
    with torch.no_grad():
        names = make(out)
    with torch.inference_mode():
        predict(dataset, out, names)
        latency(dataset, out, names)


if __name__ == "__main__":
    main()
