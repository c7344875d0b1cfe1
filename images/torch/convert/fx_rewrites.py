"""onnx2torch's modules that look at constants as data, as plain operators: neither FX graph mode nor torch.export can
follow a look at data. Import it after `torchvision_free.install()`.
"""

from collections.abc import Callable
from functools import partial

import torch
from onnx2torch.node_converters.gather import OnnxGather
from onnx2torch.node_converters.reshape import OnnxReshape
from onnx2torch.node_converters.squeeze import OnnxSqueezeDynamicAxes

Make = Callable[[torch.fx.GraphModule, torch.fx.Node], torch.fx.Node | None]


def replace(module: torch.fx.GraphModule, kind: type[torch.nn.Module], make: Make) -> int:
    """Put what `make` makes in the place of each call of a module of this kind, in place; where it makes nothing, the
    call stays. The number of nodes that were changed.
    """
    changed = 0
    for node in list(module.graph.nodes):
        if node.op != "call_module" or not isinstance(module.get_submodule(node.target), kind):
            continue
        with module.graph.inserting_before(node):
            made = make(module, node)
        if made is not None:
            node.replace_all_uses_with(made)
            module.graph.erase_node(node)
            changed += 1
    module.graph.eliminate_dead_code()
    module.recompile()
    return changed


def reshape(module: torch.fx.GraphModule, node: torch.fx.Node) -> torch.fx.Node | None:
    """To a constant target, in which 0 stands for the size that the data have there (as ONNX defines it)."""
    data, target = node.args
    if target.op != "get_attr":
        return None
    sizes = module.get_buffer(target.target).tolist()
    known = [size or module.graph.call_method("size", (data, dimension)) for dimension, size in enumerate(sizes)]
    return module.graph.call_method("reshape", (data, *known))


def squeeze(module: torch.fx.GraphModule, node: torch.fx.Node) -> torch.fx.Node | None:
    """By constant axes. tf2onnx leaves one behind each GlobalAveragePool, and opset 13 made the axes an input: FX graph
    mode then fails with "histogram_cpu not implemented for 'Long'".
    """
    if len(node.args) < 2 or node.args[1].op != "get_attr":
        return None
    axes = tuple(module.get_buffer(node.args[1].target).flatten().tolist())
    return module.graph.call_method("squeeze", (node.args[0], axes))


def gather(module: torch.fx.GraphModule, node: torch.fx.Node) -> torch.fx.Node | None:
    """By which an Embedding looks up its rows. What stays is an axis counted from the end, and one of a constant other
    than the first, which FX can't trace.
    """
    axis = module.get_submodule(node.target)._axis
    data, indices = node.args
    if axis < 0 or (axis and data.op == "get_attr"):
        return None
    places = module.graph.call_method("long", (indices,))
    # not getitem, which FX takes for a change of shape and would give the table's range to what is looked up
    return module.graph.call_function(torch.ops.aten.index.Tensor, (data, [*[None] * axis, places]))


fix_reshapes = partial(replace, kind=OnnxReshape, make=reshape)
fix_squeezes = partial(replace, kind=OnnxSqueezeDynamicAxes, make=squeeze)
fix_gathers = partial(replace, kind=OnnxGather, make=gather)
