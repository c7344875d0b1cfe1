"""Random small graphs of unusual but valid features: each seed always gives the same graph."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import helper

from tests.odd import graphs
from tests.odd.graphs import ANSWERS, FLOAT, Case, Net, info

BATCHES = ("n", None, -1, 1, 2)  # as the first size is spelt
LONGEST = 4  # blocks


def draw(seed: int) -> Case:
    net = Net(seed=1000 + seed, opset=18)
    random = net.random
    for _ in range(random.integers(2, LONGEST + 1)):
        before, last = len(net.nodes), net.last
        BLOCKS[random.integers(len(BLOCKS))](net)
        if 0 in sizes(net):
            del net.nodes[before:]
            net.last = last
    net.flat()
    size = int(np.prod(sizes(net)[1:]))
    dense(net, size)
    batch = BATCHES[random.integers(len(BATCHES))]
    spatial = [("h", "w"), (-1, -1), (None, None), (8, 8)][random.integers(4)]
    gives = [(batch, ANSWERS), (batch, -1), (batch, None)][random.integers(3)]
    model = net.model(takes=(batch, 3, *spatial), gives=gives)
    HEADERS[random.integers(len(HEADERS))](model)
    return Case(model, (graphs.samples(3, 8, 8, seed=seed),))


def sizes(net: Net) -> list[int]:
    """Of what the last node makes for two samples: ONNX's inference loses the rank of some of them."""
    from images.onnx.session import open_session  # noqa: PLC0415 - the other images haven't got it

    gives = [onnx.ValueInfoProto(name=net.last)]
    graph = helper.make_graph(net.nodes, "part", [info("x", FLOAT, ("n", *net.shape))], gives, net.constants)
    part = helper.make_model(graph, opset_imports=[helper.make_opsetid("", net.opset)], ir_version=graphs.IR)
    with TemporaryDirectory() as folder:
        onnx.save(part, Path(folder) / "part.onnx")
        [output] = open_session(Path(folder) / "part.onnx", 1).run(None, {"x": graphs.samples(*net.shape, count=2)})
    return list(output.shape)


def one_of(net: Net, *choices: object) -> object:
    return choices[net.random.integers(len(choices))]


def convolution(net: Net) -> None:
    channels = sizes(net)[1]
    more = one_of(net, [], [""], [net.weight(4)])
    net.add(
        "Conv", net.weight(4, channels, 3, 3), *more, **one_of(net, {"auto_pad": "SAME_LOWER"}, {"pads": [1, 0, 2, 2]})
    )  # type: ignore[misc]


def clip(net: Net) -> None:
    low, high = net.given(np.float32(-0.4)), net.given(np.float32(0.7))
    net.add("Clip", *one_of(net, [low], [low, ""], ["", high], ["", ""], [low, high], []))  # type: ignore[misc]


def pad(net: Net) -> None:
    ends = net.random.integers(-1, 3, 4)
    if one_of(net, True, False):
        net.add("Pad", net.ints(*ends), "", net.ints(3, -2), mode=one_of(net, "constant", "reflect", "edge"))
    else:
        net.add("Pad", net.ints(0, 0, *ends[:2], 0, 0, *ends[2:]), mode=one_of(net, "constant", "edge"))


def flat_pad(net: Net) -> None:
    """On rank 2, and back."""
    shape = sizes(net)[1:]
    net.flat()
    net.add("Pad", net.ints(0, 1, 0, 2), mode=one_of(net, "reflect", "edge", "constant"))
    net.add("Slice", net.ints(1), net.ints(-2), net.ints(1))
    net.add("Reshape", net.ints(*one_of(net, (-1, *shape), (0, *shape))))  # type: ignore[misc]


def slice_(net: Net) -> None:
    end = net.ints(2**62, 2**62, 2**62, -1)
    net.add("Slice", net.ints(0, 0, 1, 0), end, *one_of(net, [], ["", net.ints(1, 1, 1, 2)], [net.ints(0, 1, 2, 3)]))  # type: ignore[misc]


def reduce(net: Net) -> None:
    kind = one_of(net, "ReduceMean", "ReduceSum", "ReduceMax")
    if kind == "ReduceSum" and one_of(net, True, False):
        net.add("ReduceSum", noop_with_empty_axes=1)
    else:
        net.add(str(kind), net.ints(-1), keepdims=1)


def transpose(net: Net) -> None:
    net.add("Transpose", perm=[0, 2, 3, 1])


def squeeze(net: Net) -> None:
    net.add("Unsqueeze", net.ints(1, -1))
    net.add("Squeeze", net.ints(-1, 1))


def normalize(net: Net) -> None:
    channels = sizes(net)[1]
    values = [np.abs(net.random.normal(1, 0.2, channels)).astype(np.float32) for _ in range(4)]
    net.add("BatchNormalization", *map(net.given, values))


def activation(net: Net) -> None:
    kind = one_of(net, "Relu", "HardSwish", "Elu", "Softsign", "Mish", "Abs")
    net.add(str(kind))


def slope(net: Net) -> None:
    channels = sizes(net)[1]
    net.add("PRelu", one_of(net, net.given(np.float32([0.2])), net.weight(channels, 1, 1)))  # type: ignore[arg-type]


def branches(net: Net) -> None:
    shape = ("n", *sizes(net)[1:])
    data = net.last
    parts = {kind: graphs.branch(kind + data, kind, data, shape) for kind in ("Relu", "Neg")}
    net.add("If", source=net.given(True), then_branch=parts["Neg"], else_branch=parts["Relu"])


def split(net: Net) -> None:
    before = net.last
    names = [f"{before}_left", f"{before}_right"]
    net.add("Split", outputs=names, axis=2, num_outputs=2)
    net.add("Concat", names[0], source=names[1], axis=2)


def broadcast(net: Net) -> None:
    channels = sizes(net)[1]
    net.add(str(one_of(net, "Add", "Mul", "Max")), one_of(net, net.weight(channels, 1, 1), net.weight(1), net.weight()))  # type: ignore[arg-type]


def dropout(net: Net) -> None:
    net.add("Dropout", *one_of(net, [], [net.given(np.float32(0.5))], ["", net.given(False)]))  # type: ignore[misc]


def dense(net: Net, size: int) -> None:
    turned = bool(one_of(net, True, False))
    weight = net.weight(ANSWERS, size) if turned else net.weight(size, ANSWERS)
    bias = one_of(net, [], [""], [net.weight(ANSWERS)], [net.weight(1, ANSWERS)], [net.weight()], [net.weight(1)])
    net.add("Gemm", weight, *bias, transB=int(turned), alpha=one_of(net, 1.0, 0.5), beta=one_of(net, 1.0, 2.0))  # type: ignore[misc]


def plain(model: onnx.ModelProto) -> None:
    """Nothing more."""


def unnamed(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.name = ""


def weights_taken(model: onnx.ModelProto) -> None:
    """As files before IR 4 are."""
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(info(tensor.name, tensor.data_type, tensor.dims))


def shapeless(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.ClearField("shape")


BLOCKS: tuple[Callable[[Net], None], ...] = (
    *(convolution, clip, pad, flat_pad, slice_, reduce, transpose, squeeze),
    *(normalize, activation, slope, branches, split, broadcast, dropout),
)
HEADERS = (plain, unnamed, weights_taken, shapeless)
