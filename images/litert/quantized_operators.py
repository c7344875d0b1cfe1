"""Counts the quantized operators in a LiteRT file: the converter leaves some in float, without an error."""

import json
from collections.abc import Iterator
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from images.litert import session
from shared.quantization.guards import check_quantized

FILE = "quantized.json"
WEIGHTED = (  # operators with weights
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D,
    schema.BuiltinOperator.TRANSPOSE_CONV,
    schema.BuiltinOperator.CONV_3D,
    schema.BuiltinOperator.CONV_3D_TRANSPOSE,
    schema.BuiltinOperator.FULLY_CONNECTED,
    schema.BuiltinOperator.BATCH_MATMUL,
    schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM,
)
WEIGHTS = 1  # the position of the weights among an operator's inputs
FLOAT = schema.TensorType.FLOAT32
INTEGERS = (schema.TensorType.INT8, schema.TensorType.INT16)
FLOAT16 = (schema.TensorType.FLOAT16,)


def write_count(out: Path, weight_types: tuple[int, ...] = INTEGERS, *, weights_only: bool = False) -> None:
    """Write `quantized.json`. Unsupported where fewer than half of the operators are quantized.

    An operator is quantized if its weights have one of `weight_types` and, unless `weights_only`, neither its input nor
    its output is float32.
    """
    operators = list(operator_types((out / session.FILE).read_bytes()))
    integer = [types for types in operators if weights_only or FLOAT not in types]
    quantized = [types for types in integer if types[WEIGHTS] in weight_types]
    check_quantized("LiteRT's converter", len(quantized), len(operators))
    (out / FILE).write_text(json.dumps({"quantized": len(quantized), "operators": len(operators)}))


def operator_types(content: bytes) -> Iterator[tuple[int, ...]]:
    """The types (input, weights, output) of each operator with weights.

    Float16 weights that a Dequantize reads count as float16, the type in which they are stored.
    """
    model = schema.Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(number) for number in range(model.OperatorCodesLength())]
    kinds = [max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) for code in codes]
    for number in range(model.SubgraphsLength()):
        yield from subgraph_types(model.Subgraphs(number), kinds)


def subgraph_types(graph: schema.SubGraph, kinds: list[int]) -> Iterator[tuple[int, ...]]:
    types = {number: graph.Tensors(number).Type() for number in range(graph.TensorsLength())}
    nodes = [graph.Operators(number) for number in range(graph.OperatorsLength())]
    for node in nodes:
        kind = kinds[node.OpcodeIndex()]
        if kind == schema.BuiltinOperator.DEQUANTIZE and types[node.Inputs(0)] == schema.TensorType.FLOAT16:
            types[node.Outputs(0)] = types[node.Inputs(0)]
        if kind in WEIGHTED:
            yield types[node.Inputs(0)], types[node.Inputs(WEIGHTS)], types[node.Outputs(0)]
