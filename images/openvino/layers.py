"""The layers of a model by name, and the selection of those that stay in float."""

from collections.abc import Sequence

from images.openvino import telemetry_free
from images.openvino.session import ov
from shared.quantization.layer_names import check

telemetry_free.forbid_telemetry()
import nncf  # noqa: E402 - after its telemetry is forbidden
from nncf.openvino.graph.metatypes.openvino_metatypes import OV_OPERATOR_METATYPES  # noqa: E402

# In 8 bits OpenVINO refuses them ("expects Constant for port 5") or gives wrong answers, and computes in float anyway.
RECURRENT = ("GRUCell", "GRUSequence", "LSTMCell", "LSTMSequence", "RNNCell", "RNNSequence")


def ignored_scope(model: ov.Model, names: Sequence[str], types: Sequence[str]) -> nncf.IgnoredScope:
    """Return what NNCF is to leave in float: what the recipe excludes, and recurrent layers.

    A layer of the ONNX file may become several of OpenVINO's, `Conv_1` and `Conv_1/WithoutBiases`: its name stands for
    all of them. CrossquantError for a name that the model lacks, and for a type that neither the model nor OpenVINO
    has.
    """
    layers = {op.get_friendly_name(): op.get_type_name() for op in model.get_ordered_ops() if computes(op)}
    check("exclude", "layer", names, list(layers))
    unknown_types = [name for name in types if name not in {*known_types(), *layers.values()}]
    check("exclude_types", "op type", unknown_types, sorted(set(layers.values())))
    layer_names = [name for name in layers if name in names or name.startswith(tuple(f"{name}/" for name in names))]
    return nncf.IgnoredScope(names=layer_names, types=[*types, *RECURRENT], validate=False)


def computes(op: ov.Node) -> bool:
    return op.get_type_name() not in ("Constant", "Parameter", "Result")


def known_types() -> set[str]:
    return {name for kind in OV_OPERATOR_METATYPES.registry_dict.values() for name in kind.op_names}
