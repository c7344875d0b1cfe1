"""Make Gather, by which an Embedding looks up its rows, a plain operator: onnx2torch's own looks at the type of the
indices, which neither FX graph mode nor torch.export can follow.
"""

import torch
from onnx2torch.node_converters.gather import OnnxGather  # import it after `torchvision_free.install()`


def fix_gathers(module: torch.fx.GraphModule) -> int:
    """Rewrite `module` in place; the number of nodes that were changed.

    What stays is an axis counted from the end, and one of a constant other than the first, which FX can't trace.
    """
    changed = 0
    for node in list(module.graph.nodes):
        if node.op != "call_module" or not isinstance(module.get_submodule(node.target), OnnxGather):
            continue
        axis = module.get_submodule(node.target)._axis
        data, indices = node.args
        if axis < 0 or (axis and data.op == "get_attr"):
            continue
        with module.graph.inserting_before(node):
            places = module.graph.call_method("long", (indices,))
            # not getitem, which FX takes for a change of shape and would give the table's range to what is looked up
            taken = module.graph.call_function(torch.ops.aten.index.Tensor, (data, [*[None] * axis, places]))
        node.replace_all_uses_with(taken)
        module.graph.erase_node(node)
        changed += 1
    module.graph.eliminate_dead_code()
    module.recompile()
    return changed
