"""Operators that newer opsets only widened to more types: onnx2torch's converter of the version before does for them.

Its newest are those of opset 17 or so; who starts from an ONNX file of their own has 18 to 25.
"""

from onnx2torch.node_converters.registry import _CONVERTER_REGISTRY, OperationDescription, add_converter
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from onnx2torch.utils.common import OperationConverterResult

SHAPES = (19, 21, 23, 24, 25)
WIDENED = {
    **dict.fromkeys(("Cast", "Constant", "Identity", "Reshape", "Shape"), SHAPES),
    **dict.fromkeys(("Flatten", "Transpose"), (21, 23, 24, 25)),
    **dict.fromkeys(("Pad", "Squeeze", "Unsqueeze"), (23, 24, 25)),
    **dict.fromkeys(("Acos", "Asin", "Atan", "Cos", "Sin", "Tan", "Round", "EyeLike", "Dropout"), (22,)),
    **dict.fromkeys(("Elu", "HardSigmoid", "HardSwish", "Selu", "Softplus", "Softsign"), (22,)),
    **dict.fromkeys(("Conv", "GlobalAveragePool", "InstanceNormalization", "MaxPool"), (22,)),
    **dict.fromkeys(("GreaterOrEqual", "LessOrEqual"), (16,)),
    "AveragePool": (19, 22),
    "ConstantOfShape": (20, 21, 23, 24, 25),
    "Equal": (19,),
    "IsInf": (20,),
    "IsNaN": (20,),
    "TopK": (24,),
}


def newest(kind: str, before: int) -> OperationDescription | None:
    known = [item for item in _CONVERTER_REGISTRY if item.domain == "" and item.operation_type == kind]
    return max((item for item in known if item.version < before), key=lambda item: item.version, default=None)


def average_pool(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    """Opset 19 added holes, which onnx2torch would pass over."""
    if any(step != 1 for step in node.attributes.get("dilations", ())):
        raise NotImplementedError("AveragePool with dilations is not implemented")
    return _CONVERTER_REGISTRY[OperationDescription("", "AveragePool", 11)](node, graph)


def widen() -> None:
    for kind, versions in WIDENED.items():
        for version in versions:
            known = newest(kind, version)
            if known is not None and OperationDescription("", kind, version) not in _CONVERTER_REGISTRY:
                same = average_pool if kind == "AveragePool" else _CONVERTER_REGISTRY[known]
                add_converter(kind, version)(same)


widen()
