"""Squeeze with axes as an input, as in opset 13, becomes a plain method that FX can quantize around."""

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.ao import quantization
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from images.torch.convert import convert as to_torch
from images.torch.convert.fx_rewrites import fix_squeezes


def pooled() -> torch.fx.GraphModule:
    """Convolution, global pooling, Squeeze of both spatial axes."""
    weights = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float32)
    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.array([2, 3]), "axes")]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], "Conv"),
        helper.make_node("GlobalAveragePool", ["y"], ["mean"], "Pool"),
        helper.make_node("Squeeze", ["mean", "axes"], ["z"], "Squeeze"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 4])
    graph = helper.make_graph(nodes, "pooled", [x], [z], constants)
    return to_torch(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)).eval()


def test_the_module_answers_the_same_and_can_be_quantized() -> None:
    module, images = pooled(), torch.rand(5, 3, 8, 8)
    with torch.no_grad():
        before = module(images)
        assert fix_squeezes(module) == 1
        assert torch.equal(module(images), before)
        prepared = prepare_fx(module, quantization.get_default_qconfig_mapping("fbgemm"), (images,))
        prepared(images)
        answer = convert_fx(prepared)(images)
    assert answer.shape == (5, 4)
    assert torch.allclose(answer, before, atol=0.1)
