"""The PyTorch part by hand: onnx2torch, FX graph mode by each recipe, TorchScript, predict.

`python bare_torch.py WORK DATASET OUT`, in the environment of the torch image, after bare_onnx.py. With WORK alone it
only looks whether it can make every recipe.
"""

import copy
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
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

Recipe = dict[str, Any]

CALIBRATION_BATCH = 100
WEIGHTS = {"qint8": torch.qint8, "quint8": torch.quint8}
BACKENDS = ("fbgemm", "x86", "onednn", "qnnpack")
EXCLUDABLE = {"Softmax": torch.nn.Softmax}
USED = {"backend", "weight", "exclude_types", "percentile"}  # the last is of another observer than the default one
LEFT_OUT = {
    "observer": "default",
    "per_channel": True,
    "activation": "quint8",
    "reduce_range": "default",
    "exclude": [],
}


def check(name: str, recipe: Recipe) -> None:
    """End with one line where this script would make another file than the recipe asks for."""
    allowed = {"backend": BACKENDS, "weight": WEIGHTS}
    for key, value in recipe.items():
        kinds = value if key == "exclude_types" else []
        other = key not in USED and LEFT_OUT.get(key, ...) != value
        if other or value not in allowed.get(key, [value]) or not {*kinds} <= {*EXCLUDABLE}:
            sys.exit(f"torch.{name}: bare_torch.py can't do {key}: {value}")


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


def quantize(module: torch.fx.GraphModule, images: torch.Tensor, recipe: Recipe) -> torch.fx.GraphModule:
    backend, weight = recipe["backend"], WEIGHTS[recipe["weight"]]
    torch.backends.quantized.engine = backend
    config = get_default_qconfig(backend)
    if weight != torch.qint8:
        config = config._replace(weight=MinMaxObserver.with_args(dtype=weight, qscheme=torch.per_tensor_affine))
    mapping = get_default_qconfig_mapping(backend).set_global(config)
    prepared = prepare_fx(copy.deepcopy(module), mapping, example_inputs=(images[:2],))
    for start in range(0, len(images), CALIBRATION_BATCH):
        prepared(images[start : start + CALIBRATION_BATCH])
    # Only now: where the layer before a Softmax is not observed, PyTorch clips the logits to its answers' range.
    for kind in recipe["exclude_types"]:
        for name, layer in module.named_modules():
            if isinstance(layer, EXCLUDABLE[kind]):
                mapping.set_module_name(name, None)
    return convert_fx(prepared, qconfig_mapping=mapping)


def quantized_layers(module: torch.nn.Module) -> int:
    return sum(isinstance(layer, (Conv2d, Linear, ConvReLU2d, LinearReLU)) for layer in module.modules())


def save(module: torch.nn.Module, images: torch.Tensor, path: Path) -> None:
    traced = torch.jit.trace(module, images[:2], check_trace=False)  # the driver doesn't let it check either
    torch.jit.save(torch.jit.freeze(traced), path)


def make(recipes: dict[str, Recipe], out: Path) -> list[str]:
    """The names of the variants that there are."""
    images = torch.from_numpy(np.load(out / "calibration.npy"))
    module = to_torch(out / "onnx.fp32.onnx")
    save(module, images, out / "torch.fp32.pt")
    variants = ["fp32"]
    for name, recipe in recipes.items():
        converted = quantize(module, images, recipe)
        if quantized_layers(converted):
            save(converted, images, out / f"torch.{name}.pt")
            variants.append(name)
    return variants


def predict(path: Path, dataset: Path, batch: int, target: Path) -> None:
    module = torch.jit.load(path)
    images = np.load(dataset / "x_test_0.npy", mmap_mode="r")
    answers = [
        module(torch.from_numpy(images[start : start + batch].astype(np.float32))).numpy()
        for start in range(0, len(images), batch)
    ]
    np.save(target, np.concatenate(answers))


def main(work_file: str, *folders: str) -> None:
    work = json.loads(Path(work_file).read_text())
    recipes = work["recipes"]["torch"]
    for name, recipe in recipes.items():
        check(name, recipe)
    if not folders:
        return
    dataset, out = map(Path, folders)
    torch.set_num_threads(work["threads"])
    with torch.no_grad():
        names = make(recipes, out)
    with torch.inference_mode():
        for name in names:
            torch.backends.quantized.engine = recipes[name]["backend"] if name in recipes else "fbgemm"
            predict(out / f"torch.{name}.pt", dataset, work["batch_size"], out / f"predictions.torch.{name}.npy")


if __name__ == "__main__":
    main(*sys.argv[1:])
