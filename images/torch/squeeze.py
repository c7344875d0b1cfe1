"""Make Squeeze of constant axes a plain method: a quantizer would observe the axes, which are integers, as data.

tf2onnx leaves one behind each GlobalAveragePool, and opset 13 made the axes an input: FX graph mode then fails with
"histogram_cpu not implemented for 'Long'".
"""

import torch
from onnx2torch.node_converters.squeeze import OnnxSqueezeDynamicAxes  # import it after `torchvision_free.install()`


def fix_squeezes(module: torch.fx.GraphModule) -> int:
    """Rewrite `module` in place; the number of nodes that were changed."""
    changed = 0
    for node in list(module.graph.nodes):
        if node.op != "call_module" or not isinstance(module.get_submodule(node.target), OnnxSqueezeDynamicAxes):
            continue
        if len(node.args) < 2 or node.args[1].op != "get_attr":
            continue
        axes = tuple(module.get_buffer(node.args[1].target).flatten().tolist())
        with module.graph.inserting_before(node):
            node.replace_all_uses_with(module.graph.call_method("squeeze", (node.args[0], axes)))
        module.graph.erase_node(node)
        changed += 1
    module.graph.eliminate_dead_code()
    module.recompile()
    return changed
