"""PyTorch's FX graph mode: inserts observers, runs the calibration samples, and converts to 8-bit operators."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.fx.config
from torch.ao import quantization
from torch.ao.nn import quantized
from torch.ao.nn.intrinsic import quantized as fused
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from images.torch.convert import OnnxGemm, OnnxMatMul
from images.torch.refusals import refusals
from images.torch.runtime import computed_bytes
from images.torch.runtime.formats import as_sequence
from images.torch.runtime.script import Tensors
from shared.data import calibration_batches, samples
from shared.errors import CrossquantError
from shared.runner.progress import report

torch.fx.config.do_not_emit_stack_traces = (
    True  # for a debugger; each trace would import Inductor, which takes a second
)

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
TRANSPOSED = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)
RECURRENT = (torch.nn.LSTM, torch.nn.GRU)
WEIGHTED = (*CONVOLUTIONS, *TRANSPOSED, torch.nn.Linear)
COMPUTING = (*WEIGHTED, *RECURRENT, OnnxMatMul, OnnxGemm)
QUANTIZED = (
    *(quantized.Conv1d, quantized.Conv2d, quantized.Conv3d, quantized.Linear),
    *(quantized.ConvTranspose1d, quantized.ConvTranspose2d, quantized.ConvTranspose3d),
    *(fused.ConvReLU1d, fused.ConvReLU2d, fused.ConvReLU3d),
    *(fused.LinearReLU, fused.LinearLeakyReLU, fused.LinearTanh),
)
REFUSALS = (  # what PyTorch's tracers raise for a model that they can't follow
    *(torch.fx.proxy.TraceError, NotImplementedError, RuntimeError, AssertionError),
    *(AttributeError, IndexError, KeyError, TypeError, ValueError),
)
BATCH = 100  # samples


def quantize(
    module: torch.fx.GraphModule, mapping: quantization.QConfigMapping, calibration: Path
) -> torch.fx.GraphModule:
    """Quantize `module` to 8 bits, with ranges observed over the samples in `calibration`."""
    return convert_fx(prepare(module, mapping, calibration))


def prepare(
    module: torch.fx.GraphModule, mapping: quantization.QConfigMapping, calibration: Path
) -> torch.fx.GraphModule:
    """Insert observers into `module`, and run the samples in `calibration` through them.

    Unsupported, with the layer's name, if the module can't be traced.
    """
    with refusals("PyTorch's FX graph mode can't trace this model", module):
        prepared = prepare_fx(module, mapping, example_inputs=example_batch(calibration))
    with refusals("PyTorch can't calibrate this model", prepared):
        remove_integer_observers(prepared, example_batch(calibration))
        observe_inputs_of_fixed_ranges(prepared, mapping)
        for batch in calibration_tensors(calibration, computed_bytes.per_sample_of_call(module, calibration)):
            observe_batch(prepared, batch)
    return prepared


class IntegerObservers(torch.fx.Interpreter):
    """Runs the graph without observing, and collects the observers whose input has no floats."""

    def __init__(self, prepared: torch.fx.GraphModule) -> None:
        super().__init__(prepared)
        self.integers: list[torch.fx.Node] = []

    def run_node(self, n: torch.fx.Node) -> Any:
        if n.op != "call_module" or not isinstance(self.fetch_attr(n.target), quantization.ObserverBase):
            return super().run_node(n)
        [tensor], _ = self.fetch_args_kwargs_from_env(n)
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            self.integers.append(n)
        return tensor


def remove_integer_observers(prepared: torch.fx.GraphModule, batch: Tensors) -> None:
    """Remove the observers of sizes and of integer tensors, such as token ids: integers have no range, and a histogram
    refuses them ("histogram_cpu" not implemented for 'Int').
    """
    observers = IntegerObservers(prepared)
    observers.run(*batch)
    for node in observers.integers:
        node.replace_all_uses_with(node.args[0])
        prepared.graph.erase_node(node)
    prepared.recompile()


def observe_inputs_of_fixed_ranges(prepared: torch.fx.GraphModule, mapping: quantization.QConfigMapping) -> None:
    """Observe the inputs of Softmax, Sigmoid and the like, whose own outputs have a fixed range.

    If the input comes from an operator that PyTorch doesn't observe, such as the Where of an attention mask, PyTorch
    gives it the range of the output, 0 to 1: that clips what is masked to the least of what is not.
    """
    modules = dict(prepared.named_modules(remove_duplicate=False))
    fixed_kinds = {kind for kind, config in mapping.object_type_qconfigs.items() if has_fixed_range(config)}
    observers = [
        node
        for node in prepared.graph.nodes
        if node.op == "call_module" and isinstance(modules[str(node.target)], quantization.FixedQParamsObserver)
    ]
    own = {id(modules[node.target]) for node in observers if operation_of(node.args[0], modules) in fixed_kinds}
    for node in observers:
        if id(modules[node.target]) not in own:
            setattr(prepared, node.target, mapping.global_qconfig.activation())


def has_fixed_range(config: quantization.QConfig | None) -> bool:
    """Has every output of such an operator the same range?"""
    return config is not None and isinstance(config.activation(), quantization.FixedQParamsObserver)


def operation_of(node: torch.fx.Node, modules: Mapping[str, torch.nn.Module]) -> object:
    """Return what PyTorch's configuration knows the node's operator by: a type of module, a function, or a name."""
    return type(modules[str(node.target)]) if node.op == "call_module" else node.target


def observe_batch(prepared: torch.fx.GraphModule, batch: Tensors) -> None:
    """Run a batch through the observers. CrossquantError if the float model gives NaN or infinity."""
    with refusals("PyTorch can't calibrate this model", prepared):
        try:
            finite = are_finite(as_sequence(prepared(*batch)))
        except REFUSALS:
            if fails_on_finite_values(prepared, batch):  # a histogram refuses NaN and infinity
                raise
            finite = False
    if not finite:
        raise CrossquantError("the float model gives NaN or infinity for a calibration sample: check its weights")


class FailingNode(torch.fx.Interpreter):
    """Runs the graph, and records whether the arguments of the node that raises an exception are finite."""

    finite = True

    def run_node(self, n: torch.fx.Node) -> Any:
        try:
            return super().run_node(n)
        except REFUSALS:
            arguments, _ = self.fetch_args_kwargs_from_env(n)
            self.finite = are_finite([value for value in arguments if isinstance(value, torch.Tensor)])
            raise


def fails_on_finite_values(prepared: torch.fx.GraphModule, batch: Tensors) -> bool:
    """Is the batch finite at the node that can't compute it?"""
    failing = FailingNode(prepared)
    with suppress(*REFUSALS):
        failing.run(*batch)
    return failing.finite


def are_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Is every value of the tensors a finite number?"""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def exclude_modules(mapping: quantization.QConfigMapping, modules: Iterable[str]) -> quantization.QConfigMapping:
    """Keep these modules in float; changes and returns `mapping`."""
    for name in modules:
        mapping.set_module_name(name, None)
    return mapping


def calibration_tensors(calibration: Path, sample_bytes: int) -> Iterator[Tensors]:
    """Yield the checked samples in batches, one tensor per input; memory doesn't grow with their number.

    `sample_bytes` is what the model computes for a sample. PyTorch's histograms stretch their bins as they
    go and so depend on the batches. A batch depends on the model alone, so that a recipe gives the same file
    everywhere.
    """
    total, done = samples.count(calibration), 0
    for batch in calibration_batches.batches(calibration, BATCH, each=sample_bytes):
        yield tuple(map(torch.from_numpy, batch))
        done += len(batch[0])
        report(done, total)


def example_batch(calibration: Path) -> Tensors:
    """Return the first two samples. CrossquantError if there are none."""
    batch = samples.take(calibration, slice(2))
    if not len(batch[0]):
        raise CrossquantError(calibration_batches.EMPTY)
    return tuple(map(torch.from_numpy, batch))


def count_products(
    module: torch.nn.Module, kinds: tuple[type[torch.nn.Module], ...], without: Iterable[str] = ()
) -> int:
    """Count the products in modules of these kinds, except those in `without`; a padded convolution is inside of its
    module.

    PyTorch's quantized.matmul doesn't count: it computes in float, and rounds the result.
    """
    left_out = set(without)
    items = [item for name, item in module.named_modules() if name.split(".")[0] not in left_out]
    return sum(products_of(item) for item in items if isinstance(item, kinds))


def products_of(layer: torch.nn.Module) -> int:
    """Return the number of products of a layer: a recurrent one has two per direction, with its inputs and with its
    state.
    """
    return 2 * (1 + int(layer.bidirectional)) if isinstance(layer, RECURRENT) else 1


def describe_layers_in_float(module: torch.nn.Module, kinds: tuple[type, ...], without: Iterable[str]) -> list[str]:
    """Describe the layers of these kinds, except those in `without`, as "name (type)"."""
    excluded = set(without)
    layers = [(name.split(".")[0], type(item).__name__) for name, item in module.named_modules() if type(item) in kinds]
    return [f"{name} ({kind})" for name, kind in layers if name not in excluded]
