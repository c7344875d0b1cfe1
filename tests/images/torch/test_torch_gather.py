"""Gather by computed indices is a plain operator that FX and torch.export can follow."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from images.torch.convert import to_module
from tests.images.models import FILE

TABLE = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)
PLACES = np.array([[0, 4, -1], [2, -5, 3]], np.int32)


def graph(folder: Path, axis: int) -> Path:
    """Rows of a constant table (axis 0), or columns of one that is an input (axis 1), by indices that are an input."""
    node = helper.make_node("Gather", ["table", "places"], ["found"], "Gather", axis=axis)
    places = helper.make_tensor_value_info("places", TensorProto.INT32, ["n", 3])
    table = helper.make_tensor_value_info("table", TensorProto.FLOAT, ["m", 5])
    output = helper.make_tensor_value_info("found", TensorProto.FLOAT, None)
    takes, constants = ([table, places], []) if axis else ([places], [numpy_helper.from_array(TABLE, "table")])
    lookup = helper.make_graph([node], "lookup", takes, [output], constants)
    onnx.save(helper.make_model(lookup, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / FILE)
    return folder


@pytest.mark.parametrize("axis", [0, 1])
def test_it_finds_the_same_and_can_be_traced(axis: int, tmp_path: Path):
    """A negative index counts from the end, as ONNX defines it."""
    source = graph(tmp_path, axis)
    fed = {"table": TABLE, "places": PLACES} if axis else {"places": PLACES}
    [expected] = ReferenceEvaluator(str(source / FILE)).run(None, fed)
    module = torch.fx.symbolic_trace(to_module(source))
    np.testing.assert_array_equal(module(*map(torch.from_numpy, fed.values())).numpy(), expected)
    assert not [node for node in module.graph.nodes if node.op == "call_module"]


def test_an_index_out_of_the_table_is_an_error(tmp_path: Path):
    with pytest.raises(IndexError):
        to_module(graph(tmp_path, 0))(torch.tensor([[0, 1, 5]], dtype=torch.int32))
