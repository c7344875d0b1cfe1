"""The layers of a model by name, and the check of what a recipe excludes."""

from collections.abc import Sequence

from images.openvino import telemetry_free
from images.openvino.session import ov
from shared.quantization.layer_names import check

telemetry_free.forbid()
import nncf  # noqa: E402 - after its telemetry is forbidden
from nncf.openvino.graph.metatypes.openvino_metatypes import OV_OPERATOR_METATYPES  # noqa: E402

# In 8 bits OpenVINO refuses them ("expects Constant for port 5") or answers wrongly, and computes in float anyway.
RECURRENT = ("GRUCell", "GRUSequence", "LSTMCell", "LSTMSequence", "RNNCell", "RNNSequence")


def scope(model: ov.Model, names: Sequence[str], types: Sequence[str]) -> nncf.IgnoredScope:
    """What NNCF is to leave in float: what the recipe excludes, and recurrent layers.

    A layer of the ONNX file may be several of OpenVINO's, `Conv_1` and `Conv_1/WithoutBiases`: its name means all of
    them. CrossquantError for a name that the model doesn't have, and for a type that neither it nor OpenVINO has.
    """
    layers = {op.get_friendly_name(): op.get_type_name() for op in model.get_ordered_ops() if computes(op)}
    check("exclude", "layer", names, list(layers))
    unheard = [name for name in types if name not in {*known_types(), *layers.values()}]
    check("exclude_types", "op type", unheard, sorted(set(layers.values())))
    parts = [name for name in layers if name in names or name.startswith(tuple(f"{whole}/" for whole in names))]
    return nncf.IgnoredScope(names=parts, types=[*types, *RECURRENT], validate=False)


def computes(op: ov.Node) -> bool:
    return op.get_type_name() not in ("Constant", "Parameter", "Result")


def known_types() -> set[str]:
    return {name for kind in OV_OPERATOR_METATYPES.registry_dict.values() for name in kind.op_names}
