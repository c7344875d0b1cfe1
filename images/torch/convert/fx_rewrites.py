"""Replaces onnx2torch's modules that read constants as data by plain operators.

Neither FX graph mode nor torch.export can trace a read of data. Import it after `torchvision_stub.install()`.
"""

from collections.abc import Callable
from functools import partial

import torch
from onnx2torch.node_converters.gather import OnnxGather
from onnx2torch.node_converters.reshape import OnnxReshape
from onnx2torch.node_converters.squeeze import OnnxSqueezeDynamicAxes

Make = Callable[[torch.fx.GraphModule, torch.fx.Node], torch.fx.Node | None]


def replace_calls(module: torch.fx.GraphModule, kind: type[torch.nn.Module], make: Make) -> int:
    """Replace each call of a module of this kind by what `make` returns, in place; return the number of replaced calls.

    If `make` returns None, the call stays.
    """
    changed = 0
    for node in list(module.graph.nodes):
        if node.op != "call_module" or not isinstance(module.get_submodule(node.target), kind):
            continue
        with module.graph.inserting_before(node):
            replacement = make(module, node)
        if replacement is not None:
            node.replace_all_uses_with(replacement)
            module.graph.erase_node(node)
            changed += 1
    module.graph.eliminate_dead_code()
    module.recompile()
    return changed


def make_reshape(module: torch.fx.GraphModule, node: torch.fx.Node) -> torch.fx.Node | None:
    """Reshape to a constant target, in which 0 stands for the input's size on that axis (as ONNX defines it)."""
    data, target = node.args
    if target.op != "get_attr":
        return None
    sizes = module.get_buffer(target.target).tolist()
    shape = [size or module.graph.call_method("size", (data, dimension)) for dimension, size in enumerate(sizes)]
    return module.graph.call_method("reshape", (data, *shape))


def make_squeeze(module: torch.fx.GraphModule, node: torch.fx.Node) -> torch.fx.Node | None:
    """Squeeze constant axes.

    tf2onnx writes a Squeeze after each GlobalAveragePool, and opset 13 made the axes an input. FX graph mode then fails
    with "histogram_cpu not implemented for 'Long'".
    """
    if len(node.args) < 2 or node.args[1].op != "get_attr":
        return None
    axes = tuple(module.get_buffer(node.args[1].target).flatten().tolist())
    return module.graph.call_method("squeeze", (node.args[0], axes))


def make_gather(module: torch.fx.GraphModule, node: torch.fx.Node) -> torch.fx.Node | None:
    """Look up rows, as an Embedding does.

    Not replaced: an axis counted from the end, and a constant's axis other than the first, which FX can't trace.
    """
    axis = module.get_submodule(node.target)._axis
    data, indices = node.args
    if axis < 0 or (axis and data.op == "get_attr"):
        return None
    positions = module.graph.call_method("long", (indices,))
    # not getitem: FX treats it as a change of shape, and would give the rows the table's range
    return module.graph.call_function(torch.ops.aten.index.Tensor, (data, [*[None] * axis, positions]))


fix_reshapes = partial(replace_calls, kind=OnnxReshape, make=make_reshape)
fix_squeezes = partial(replace_calls, kind=OnnxSqueezeDynamicAxes, make=make_squeeze)
fix_gathers = partial(replace_calls, kind=OnnxGather, make=make_gather)
