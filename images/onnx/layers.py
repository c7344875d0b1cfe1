"""The layers of a graph by name, and the check of what a recipe excludes."""

import difflib
from collections.abc import Collection, Sequence

import onnx

from shared.errors import CrossquantError

SHOWN = 30  # names in a message
CLOSE = 5


def excluded(model: onnx.ModelProto, names: Sequence[str], op_types: Sequence[str]) -> list[str]:
    """The names of all nodes to leave in float, in the graph's order.

    CrossquantError for a name that the graph doesn't have, and for an op type that neither it nor ONNX has: a typing
    error would quantize all in silence. A preset may exclude what a model happens not to have.
    """
    nodes = model.graph.node
    check("exclude", "layer", names, [node.name for node in nodes])
    unheard = [name for name in op_types if not onnx.defs.has(name)]
    check("exclude_types", "op type", unheard, sorted({node.op_type for node in nodes}))
    return [node.name for node in nodes if node.name in names or node.op_type in op_types]


def check(option: str, what: str, asked: Sequence[str], known: Collection[str]) -> None:
    for name in asked:
        if name not in known:
            raise CrossquantError(f"{option}: this model has no {what} '{name}'; {suggestion(name, known)}")


def suggestion(name: str, known: Collection[str]) -> str:
    """The names that are like it, else those that there are."""
    lowered = {item.lower(): item for item in known}
    close = [item for key, item in lowered.items() if name and (name.lower() in key)]
    close += [lowered[key] for key in difflib.get_close_matches(name.lower(), lowered, CLOSE)]
    if close:
        return "did you mean " + ", ".join(list(dict.fromkeys(close))[:CLOSE]) + "?"
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return "known are " + ", ".join(list(known)[:SHOWN]) + more
