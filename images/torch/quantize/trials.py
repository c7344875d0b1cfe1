"""Calibrates a model once, and quantizes it again and again with different layers left in float."""

import copy
import gc
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.ao.quantization.fx.utils import assert_and_get_unique_device
from torch.ao.quantization.quantize_fx import convert_fx

from images.torch.convert import fixed_batch_size, to_module
from images.torch.quantize import exclusion, fx
from images.torch.quantize.exclusion import Layer
from images.torch.quantize.recipe import Recipe
from images.torch.refusals import refusals
from shared.errors import Unsupported
from shared.measure import fixed_batch

THREADS = 1  # two threads wait for each other after each small operator: five times slower beside a busy process


class TrialModels:
    """Quantized models that differ in the layers left in float; the layers in `always` stay in float in each.

    All layers are observed, and the excluded ones are taken out afterwards: if the layer before a Softmax is not
    observed, PyTorch clips the logits to the range of the Softmax's answers, 0 to 1.
    """

    def __init__(self, model: Path, recipe: Recipe, always: Sequence[str], calibration: Path) -> None:
        fixed_batch.refuse(fixed_batch_size(model))
        set_engine(recipe.backend)
        torch.set_num_threads(THREADS)
        self.recipe = recipe
        self.layers: tuple[Layer, ...] = exclusion.read_layers(model)
        names = {layer.name for layer in self.layers}
        self.always_excluded = tuple(name for name in always if name in names)  # a rewritten graph has not all of them
        self.float = to_module(model)
        self.prepared = fx.prepare(copy.deepcopy(self.float), recipe.mapping(), calibration)
        gc.collect()
        gc.freeze()  # the collections in `quantize` then skip everything allocated so far

    def qconfig_mapping(self, excluded: Sequence[str]) -> torch.ao.quantization.QConfigMapping:
        """Return the recipe's configuration with these layers, and those in `always`, in float."""
        return fx.exclude_modules(self.recipe.mapping(), self.excluded_modules(excluded))

    def excluded_modules(self, excluded: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the modules of these layers, and those in `always`."""
        layers = exclusion.select_excluded(self.layers, (*self.always_excluded, *excluded), ())
        return exclusion.include_fused(layers, self.float)

    def quantize(self, excluded: Sequence[str]) -> torch.fx.GraphModule:
        """Return the 8-bit module with these layers, and those in `always`, in float.

        Earlier modules are freed unless somebody holds them, so that memory doesn't grow with the number of layers.
        PyTorch caches the last modules whose device it looked up, and a module has circular references, which are
        collected rarely.
        """
        assert_and_get_unique_device.cache_clear()
        gc.collect()
        prepared = copy.deepcopy(self.prepared)
        self._free_constants(prepared, self.excluded_modules(excluded))
        with refusals("PyTorch's FX graph mode can't convert this model"):
            return convert_fx(prepared, qconfig_mapping=self.qconfig_mapping(excluded))

    def _free_constants(self, prepared: torch.fx.GraphModule, modules: Sequence[str]) -> None:
        """Remove the observers of constants that excluded layers read: PyTorch would quantize those all the same."""
        scopes = self.prepared.meta["_observed_graph_module_attrs"].node_name_to_scope
        for node in list(prepared.graph.nodes):
            if str(scopes.get(node.name, ("",))[0]).split(".")[0] in modules:
                for source in node.all_input_nodes:
                    if source.op == "call_module" and source.args and source.args[0].op == "get_attr":
                        node.replace_input_with(source, source.args[0])
                        if not source.users:  # other dead nodes must stay: PyTorch asks for each that it prepared
                            prepared.graph.erase_node(source)
        prepared.recompile()

    def count_layers(self, excluded: Sequence[str]) -> int:
        """Count the layers to be quantized."""
        return fx.count_products(self.float, fx.COMPUTING, self.excluded_modules(excluded))


def set_engine(backend: str) -> None:
    """Set the engine that weights are packed for. Unsupported if this build or CPU doesn't have it."""
    try:
        torch.backends.quantized.engine = backend
    except RuntimeError as error:
        raise Unsupported(f"PyTorch's engine {backend}: {error}") from error
