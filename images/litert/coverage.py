"""How many of the operators that compute are quantized, read from the file: the converter leaves some in float."""

import json
from collections.abc import Iterator
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from images.litert import session
from shared.quantization.guards import check_quantized

FILE = "quantized.json"
COMPUTING = (
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D,
    schema.BuiltinOperator.TRANSPOSE_CONV,
    schema.BuiltinOperator.CONV_3D,
    schema.BuiltinOperator.CONV_3D_TRANSPOSE,
    schema.BuiltinOperator.FULLY_CONNECTED,
    schema.BuiltinOperator.BATCH_MATMUL,
    schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM,
)
WEIGHTS, FLOAT = 1, schema.TensorType.FLOAT32
INTEGERS = (schema.TensorType.INT8, schema.TensorType.INT16)
HALF = (schema.TensorType.FLOAT16,)


def check(out: Path, stored: tuple[int, ...] = INTEGERS, *, weights_only: bool = False) -> None:
    """Write `quantized.json`. Unsupported where fewer than half of the operators are quantized.

    An operator is when its weights are `stored` so and, unless `weights_only`, what it reads and gives is integer.
    """
    found = list(operators((out / session.FILE).read_bytes()))
    whole = [types for types in found if weights_only or FLOAT not in types]
    quantized = [types for types in whole if types[WEIGHTS] in stored]
    check_quantized("LiteRT's converter", len(quantized), len(found))
    (out / FILE).write_text(json.dumps({"quantized": len(quantized), "operators": len(found)}))


def operators(content: bytes) -> Iterator[tuple[int, ...]]:
    """Of each operator that computes: the types of its first inputs, weights second, and of its output.

    Weights behind a Dequantize have the type that they are stored in.
    """
    model = schema.Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(number) for number in range(model.OperatorCodesLength())]
    kinds = [max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) for code in codes]
    for number in range(model.SubgraphsLength()):
        yield from of_graph(model.Subgraphs(number), kinds)


def of_graph(graph: schema.SubGraph, kinds: list[int]) -> Iterator[tuple[int, ...]]:
    types = {number: graph.Tensors(number).Type() for number in range(graph.TensorsLength())}
    nodes = [graph.Operators(number) for number in range(graph.OperatorsLength())]
    for node in nodes:
        kind = kinds[node.OpcodeIndex()]
        if kind == schema.BuiltinOperator.DEQUANTIZE and types[node.Inputs(0)] == schema.TensorType.FLOAT16:
            types[node.Outputs(0)] = types[node.Inputs(0)]
        if kind in COMPUTING:
            yield types[node.Inputs(0)], types[node.Inputs(WEIGHTS)], types[node.Outputs(0)]
