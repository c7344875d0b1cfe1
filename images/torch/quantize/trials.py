"""A model that is calibrated once, and quantized again and again with other layers left in float."""

import copy
import gc
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.ao.quantization.fx.utils import assert_and_get_unique_device
from torch.ao.quantization.quantize_fx import convert_fx

from images.torch.convert import batch_of, to_module
from images.torch.quantize import exclusion, fx
from images.torch.quantize.exclusion import Layer
from images.torch.quantize.recipe import Recipe
from shared.errors import Unsupported
from shared.measure import fixed_batch

THREADS = 1  # two wait for each other after each small operator: five times slower where another process is busy


class Attempts:
    """`always` are the names of the layers that the recipe excludes anyway.

    All layers are observed, and those that are excluded taken out afterwards: where the layer before a Softmax is not
    observed, PyTorch clips the logits to the range of the Softmax's answers, 0 to 1.
    """

    def __init__(self, model: Path, recipe: Recipe, always: Sequence[str], calibration: Path) -> None:
        fixed_batch.refuse(batch_of(model))
        set_engine(recipe.backend)
        torch.set_num_threads(THREADS)
        self.recipe = recipe
        self.layers: tuple[Layer, ...] = exclusion.read(model)
        names = {layer.name for layer in self.layers}
        self.always = tuple(name for name in always if name in names)  # a rewritten graph has not all of them
        self.float = to_module(model)
        self.prepared = fx.prepare(copy.deepcopy(self.float), recipe.mapping(), calibration)
        gc.collect()
        gc.freeze()  # `quantized` need not look through all that there is until now

    def mapping(self, excluded: Sequence[str]) -> torch.ao.quantization.QConfigMapping:
        return fx.exclude(self.recipe.mapping(), self.modules(excluded))

    def modules(self, excluded: Sequence[str]) -> tuple[str, ...]:
        left_out = exclusion.select(self.layers, (*self.always, *excluded), ())
        return exclusion.whole(left_out, self.float)

    def quantized(self, excluded: Sequence[str]) -> torch.fx.GraphModule:
        """The 8-bit module with these layers in float, in addition to those that always are.

        The ones before it are freed, unless somebody holds them: else a copy of the model for each layer would be in
        memory. PyTorch keeps the last modules that it has asked for their device, and a module is a circle of
        references, which Python looks for too seldom.
        """
        assert_and_get_unique_device.cache_clear()
        gc.collect()
        prepared = copy.deepcopy(self.prepared)
        self._free_constants(prepared, self.modules(excluded))
        try:
            return convert_fx(prepared, qconfig_mapping=self.mapping(excluded))
        except fx.REFUSALS as error:
            raise Unsupported(f"PyTorch's FX graph mode can't convert this model: {error}") from error

    def _free_constants(self, prepared: torch.fx.GraphModule, modules: Sequence[str]) -> None:
        """Take the observers off the constants that excluded layers read: PyTorch would quantize those all the same."""
        scopes = self.prepared.meta["_observed_graph_module_attrs"].node_name_to_scope
        for node in list(prepared.graph.nodes):
            if str(scopes.get(node.name, ("",))[0]).split(".")[0] in modules:
                for source in node.all_input_nodes:
                    if source.op == "call_module" and source.args and source.args[0].op == "get_attr":
                        node.replace_input_with(source, source.args[0])
                        if not source.users:  # other dead nodes must stay: PyTorch asks for each that it prepared
                            prepared.graph.erase_node(source)
        prepared.recompile()

    def total(self, excluded: Sequence[str]) -> int:
        """How many layers are to be quantized."""
        return fx.count(self.float, fx.COMPUTING, self.modules(excluded))


def set_engine(backend: str) -> None:
    """Weights are packed for the engine of the moment. Unsupported where this build or CPU doesn't have it."""
    try:
        torch.backends.quantized.engine = backend
    except RuntimeError as error:
        raise Unsupported(f"PyTorch's engine {backend}: {error}") from error
