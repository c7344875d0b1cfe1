"""Valid ONNX files with features that converters and quantizers often don't expect, each small and seeded.

Every graph takes `x`, applies the odd part to it, and ends in a dense layer, so that quantizers have something to do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_tensor_value_info as info

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
FILE = "model.onnx"
Dim = int | str | None
OPSET = 17
IR = 8
ANSWERS = 5


@dataclass(frozen=True)
class Case:
    """A model, and the samples to ask it."""

    model: onnx.ModelProto
    inputs: tuple[np.ndarray, ...]
    external: bool = False  # its weights lie in a second file
    refused: str = ""  # why it is none that can be compared, where it isn't


@dataclass
class Net:
    """Nodes and constants, put together one after the other."""

    shape: tuple[int, ...] = (3, 8, 8)
    seed: int = 0
    opset: int = OPSET
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    last: str = "x"

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def given(self, values: Any, dtype: Any = None) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def weight(self, *shape: int) -> str:
        return self.given(self.random.normal(0, 0.3, shape).astype(np.float32))

    def ints(self, *values: int) -> str:
        return self.given(np.array(values, np.int64))

    def add(
        self, kind: str, *more: str, source: str | None = None, outputs: Sequence[str] = (), **attributes: Any
    ) -> str:
        names = list(outputs) or [f"t{len(self.nodes)}"]
        inputs = [self.last if source is None else source, *more]
        self.nodes.append(helper.make_node(kind, inputs, names, name=f"{kind}_{len(self.nodes)}", **attributes))
        self.last = names[0]
        return names[0]

    def flat(self) -> str:
        return self.add("Flatten", axis=1)

    def dense(self, size: int, bias: bool = True) -> str:
        more = [self.weight(ANSWERS)] if bias else []
        return self.add("Gemm", self.weight(size, ANSWERS), *more)

    def model(
        self,
        takes: Sequence[Dim] | None = None,
        gives: Sequence[Dim] | None = ("n", ANSWERS),
        kind: int = FLOAT,
        answers: int = FLOAT,
        functions: Sequence[onnx.FunctionProto] = (),
        domains: Sequence[str] = (),
        more: Sequence[onnx.ValueInfoProto] = (),
        ir: int = IR,
    ) -> onnx.ModelProto:
        self.nodes[-1].output[0] = "answer"
        inputs = [info("x", kind, ("n", *self.shape) if takes is None else takes), *more]
        graph = helper.make_graph(self.nodes, "odd", inputs, [info("answer", answers, gives)], self.constants)
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=ir, functions=functions)


def samples(*shape: int, count: int = 12, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def of(net: Net, *, size: int, flat: bool = True, **settings: Any) -> Case:
    """The net with a dense layer behind it, and samples for it."""
    if flat:
        net.flat()
    net.dense(size)
    return Case(net.model(**settings), (samples(*net.shape),))


# --- sizes -----------------------------------------------------------------------------------------------------------


def convolutional(**settings: Any) -> Net:
    net = Net(**settings)
    net.add("Conv", net.weight(4, 3, 3, 3), net.weight(4), pads=[1, 1, 1, 1])
    net.add("Relu")
    return net


def pooled(**settings: Any) -> Net:
    net = convolutional(**settings)
    net.add("GlobalAveragePool")
    return net


def minus_one(takes: Sequence[Dim], gives: Sequence[Dim], inner: Sequence[Dim] = ()) -> Case:
    case = of(pooled(), size=4)
    model = of(pooled(), size=4, takes=takes, gives=gives).model
    if inner:
        model.graph.value_info.append(info("t1", FLOAT, inner))
    return Case(model, case.inputs)


def no_shape_out() -> Case:
    case = of(pooled(), size=4)
    case.model.graph.output[0].type.tensor_type.ClearField("shape")
    return case


def no_rank_in() -> Case:
    case = of(pooled(), size=4)
    case.model.graph.input[0].type.tensor_type.ClearField("shape")
    return case


def unset_batch() -> Case:
    return of(pooled(), size=4, takes=(None, 3, 8, 8), gives=(None, ANSWERS))


def open_sizes(says: int, names: Sequence[Dim]) -> Case:
    """The file leaves height and width open, and the dense layer needs one size."""
    net = convolutional(shape=(3, says, says))
    net.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    return of(net, size=4 * (says // 2) ** 2, takes=("n", 3, *names))


def reshaped(target: Sequence[int], takes: Sequence[Dim] | None = None, gives: Sequence[Dim] = ("n", ANSWERS)) -> Case:
    net = convolutional()
    net.add("Reshape", net.ints(*target))
    return of(net, size=256, flat=False, takes=takes, gives=gives)


def shape_reshape(open_width: bool = False) -> Case:
    """The target is computed from the shape of the input: Shape, Gather, Concat, as exporters of PyTorch leave it."""
    net = convolutional()
    data = net.last
    net.add("Shape")
    net.add("Gather", net.given(0, np.int64), axis=0)
    net.add("Unsqueeze", net.ints(0))
    net.add("Concat", net.ints(-1), axis=0)
    target = net.last
    net.add("Reshape", target, source=data)
    return of(net, size=256, flat=False, takes=("n", 3, "h", "w") if open_width else None)


def batch_expand() -> Case:
    """A learned token, as often as there are samples, before the sequence."""
    net = Net(shape=(6, 4))
    net.add("Shape")
    net.add("Slice", net.ints(0), net.ints(1), net.ints(0))
    net.add("Concat", net.ints(1, 4), axis=0)
    wide = net.add("Expand", net.last, source=net.weight(1, 1, 4))
    net.add("Concat", "x", source=wide, axis=1)
    return of(net, size=28)


def batch_constant() -> Case:
    """Zeros for each sample, made of the shape."""
    net = Net(shape=(6, 4))
    net.add("Shape")
    zeros = net.add("ConstantOfShape", value=helper.make_tensor("value", FLOAT, [1], [0.5]))
    net.add("Add", zeros, source="x")
    return of(net, size=24)


def batch_range() -> Case:
    """The number of samples is data: each sample is multiplied by it."""
    net = Net(shape=(6,))
    net.add("Shape")
    net.add("Gather", net.given(0, np.int64), axis=0)
    count = net.add("Cast", to=FLOAT)
    net.add("Div", count, source=count)
    net.add("Mul", "x")
    return of(net, size=6, flat=False)


def fixed(batch: int, case: Case) -> Case:
    for item in (*case.model.graph.input, *case.model.graph.output):
        item.type.tensor_type.shape.dim[0].dim_value = batch
    return case


# --- graphs inside ---------------------------------------------------------------------------------------------------


def branch(name: str, kind: str, source: str, shape: Sequence[Dim], **attributes: Any) -> onnx.GraphProto:
    node = helper.make_node(kind, [source], [f"{name}_y"], name=f"{name}_{kind}", **attributes)
    return helper.make_graph([node], name, [], [info(f"{name}_y", FLOAT, shape)])


def conditional(condition: str) -> Case:
    """An If that reads a tensor of the graph around it."""
    net = pooled()
    data = net.last
    if condition == "constant":
        asked = net.given(True)
    elif condition == "shape":
        net.add("Shape", source="x")
        net.add("Gather", net.given(2, np.int64), axis=0)
        asked = net.add("Greater", net.given(4, np.int64))
    else:
        net.add("ReduceMean", source="x", keepdims=0)
        asked = net.add("Greater", net.given(-100.0, np.float32))
    shape = ("n", 4, 1, 1)
    net.add(
        "If", source=asked, then_branch=branch("yes", "Relu", data, shape), else_branch=branch("no", "Neg", data, shape)
    )
    return of(net, size=4)


def squeezing_if() -> Case:
    """As PyTorch exports `squeeze`: the branches have different ranks."""
    net = pooled()
    data = net.last
    net.add("Shape", source=data)
    net.add("Gather", net.given(3, np.int64), axis=0)
    asked = net.add("Equal", net.given(1, np.int64))
    axes = numpy_helper.from_array(np.array([3], np.int64), "axes")
    yes = helper.make_graph(
        [helper.make_node("Squeeze", [data, "axes"], ["yes_y"], name="sq")],
        "yes",
        [],
        [info("yes_y", FLOAT, None)],
        [axes],
    )
    no = helper.make_graph(
        [helper.make_node("Identity", [data], ["no_y"], name="id")], "no", [], [info("no_y", FLOAT, None)]
    )
    net.add("If", source=asked, then_branch=yes, else_branch=no)
    return of(net, size=4)


def looped(steps_known: bool) -> Case:
    net = Net(shape=(6,))
    factor = net.given(0.5, np.float32)
    if steps_known:
        count = net.given(3, np.int64)
    else:
        net.add("Shape", source="x")
        count = net.add("Gather", net.given(1, np.int64), axis=0)
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["state_in", factor], ["half"], name="half"),
            helper.make_node("Add", ["half", "x"], ["state_out"], name="more"),
            helper.make_node("Identity", ["go_in"], ["go_out"], name="go"),
        ],
        "body",
        [info("step", INT64, ()), info("go_in", BOOL, ()), info("state_in", FLOAT, ("n", 6))],
        [info("go_out", BOOL, ()), info("state_out", FLOAT, ("n", 6))],
    )
    net.add("Loop", "", "x", source=count, body=body)
    return of(net, size=6, flat=False)


def scanned() -> Case:
    """The running sum along the second axis."""
    net = Net(shape=(5, 4))
    start = net.add("ReduceSum", net.ints(1), keepdims=0)
    net.add("Mul", net.given(0.0, np.float32))
    start = net.last
    body = helper.make_graph(
        [
            helper.make_node("Add", ["s_in", "step"], ["s_out"], name="add"),
            helper.make_node("Identity", ["s_out"], ["scan"], name="same"),
        ],
        "body",
        [info("s_in", FLOAT, ("n", 4)), info("step", FLOAT, ("n", 4))],
        [info("s_out", FLOAT, ("n", 4)), info("scan", FLOAT, ("n", 4))],
    )
    net.add(
        "Scan",
        "x",
        source=start,
        outputs=["final", "all"],
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_output_axes=[1],
    )
    net.last = "all"
    return of(net, size=20)


def sequences() -> Case:
    net = Net(shape=(6, 4))
    net.add("SplitToSequence", net.given(3, np.int64), axis=1)
    net.add("ConcatFromSequence", axis=2)
    return of(net, size=24)


def optional() -> Case:
    net = Net(shape=(6,), opset=18)
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, ("n", 6)))
    net.add("Optional", type=kind)
    net.add("OptionalGetElement")
    return of(net, size=6, flat=False)


# --- how a file is made ----------------------------------------------------------------------------------------------


def local_function() -> Case:
    function = helper.make_function(
        "mine",
        "Scaled",
        ["a"],
        ["b"],
        [
            helper.make_node("Constant", [], ["two"], value_float=2.0),
            helper.make_node("Mul", ["a", "two"], ["c"]),
            helper.make_node("Relu", ["c"], ["b"]),
        ],
        [helper.make_opsetid("", OPSET)],
    )
    net = pooled()
    net.add("Scaled", domain="mine")
    return of(net, size=4, functions=[function], domains=["mine"])


def weights_as_inputs(ir: int) -> Case:
    case = of(pooled(), size=4)
    for tensor in case.model.graph.initializer:
        case.model.graph.input.append(info(tensor.name, tensor.data_type, tensor.dims))
    case.model.ir_version = ir
    return case


def sparse() -> Case:
    net = pooled()
    net.flat()
    values = np.array([0.5, -1.0, 2.0, 1.5], np.float32)
    dense = helper.make_sparse_tensor(
        numpy_helper.from_array(values, "sparse"),
        numpy_helper.from_array(np.array([0, 6, 12, 18], np.int64), "sparse_indices"),
        [4, ANSWERS],
    )
    net.add("MatMul", "sparse")
    model = net.model()
    model.graph.sparse_initializer.append(dense)
    return Case(model, (samples(*net.shape),))


def open_lengths(first: int = 7, second: int = 11) -> Case:
    """Attention of one sequence to another: two inputs, each of an open length of its own."""
    net = Net(shape=(first, 6))
    net.add("MatMul", net.weight(6, 6))
    queries = net.last
    keys = net.add("MatMul", net.weight(6, 6), source="y")
    turned = net.add("Transpose", source=keys, perm=[0, 2, 1])
    net.add("MatMul", turned, source=queries)
    net.add("Softmax", axis=-1)
    net.add("MatMul", keys)
    net.add("ReduceMean", axes=[1], keepdims=0)
    net.dense(6)
    other = info("y", FLOAT, ("n", "second", 6))
    model = net.model(takes=("n", "first", 6), more=[other])
    return Case(model, (samples(first, 6), samples(second, 6, seed=4)))


def rounded(weights: bool = True, values: bool = True) -> Case:
    """As PyTorch exports a model trained for 8 bits: what a convolution reads is rounded before it."""
    net = Net()
    steps = (net.given(0.05, np.float32), net.given(0, np.int8))

    def put(name: str) -> str:
        return net.add("DequantizeLinear", *steps, source=net.add("QuantizeLinear", *steps, source=name))

    data = put("x") if values else "x"
    weight = put(net.weight(4, 3, 3, 3)) if weights else net.weight(4, 3, 3, 3)
    net.add("Conv", weight, net.weight(4), source=data, pads=[1, 1, 1, 1])
    net.add("Relu")
    net.add("GlobalAveragePool")
    return of(net, size=4)


def external() -> Case:
    case = of(pooled(), size=4)
    return Case(case.model, case.inputs, external=True)


def constants_as_nodes() -> Case:
    """Weights in Constant nodes, as older exporters leave them."""
    case = of(pooled(), size=4)
    graph = case.model.graph
    nodes = [
        helper.make_node("Constant", [], [tensor.name], name=f"k_{tensor.name}", value=tensor)
        for tensor in graph.initializer
    ]
    nodes += list(graph.node)
    del graph.initializer[:]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
    return case


def refused(case: Case, why: str) -> Case:
    return Case(case.model, case.inputs, refused=why)


def typed(kind: int) -> Case:
    """All of the graph in one type other than float32."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    net = pooled()
    case = of(net, size=4, kind=kind, answers=kind)
    for tensor in case.model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            if kind == TensorProto.BFLOAT16:
                tensor.CopyFrom(helper.make_tensor(tensor.name, kind, values.shape, values.flatten()))
            else:
                tensor.CopyFrom(numpy_helper.from_array(values.astype(dtype), tensor.name))
    return case


def inner_type(kind: int) -> Case:
    """float32 outside, another type for a while."""
    net = pooled()
    net.add("Cast", to=kind)
    net.add("Abs")
    net.add("Cast", to=FLOAT)
    return of(net, size=4)


def strings() -> Case:
    net = Net(shape=(1,))
    net.add("Identity")
    model = net.model(kind=TensorProto.STRING, answers=TensorProto.STRING, gives=("n", 1))
    return Case(model, (samples(1),), refused="'x' of the ONNX file is of type string: only numbers can be compared")


def contributed(kind: str) -> Case:
    net = pooled()
    net.flat()
    if kind == "FusedMatMul":
        net.add("FusedMatMul", net.weight(4, 4), domain="com.microsoft", alpha=0.5)
    elif kind == "BiasGelu":
        net.add("BiasGelu", net.weight(4), domain="com.microsoft")
    else:
        net.add(kind, domain="com.microsoft")
    return of(net, size=4, flat=False, domains=["com.microsoft"])


def unnamed() -> Case:
    case = of(pooled(), size=4)
    for node in case.model.graph.node:
        node.name = ""
    return case


def passed_on() -> Case:
    """A second output that is the input itself."""
    case = of(pooled(), size=4)
    case.model.graph.node.append(helper.make_node("Identity", ["x"], ["same"], name="same"))
    case.model.graph.output.append(info("same", FLOAT, ("n", 3, 8, 8)))
    return case


def token_ids(dtype: Any = np.int64, kind: int = INT64) -> Case:
    net = Net(shape=(7,))
    net.add("Gather", "x", source=net.weight(20, 4), axis=0)
    net.add("ReduceMean", axes=[1], keepdims=0)
    net.dense(4)
    ids = np.random.default_rng(3).integers(0, 20, (12, 7)).astype(dtype)
    return Case(net.model(kind=kind), (ids,))


# --- operators -------------------------------------------------------------------------------------------------------


def gemm(bias: Sequence[int] | None = None, empty: bool = False, computed: bool = False, **attributes: Any) -> Case:
    net = Net(shape=(6,))
    weight = net.weight(ANSWERS, 6) if attributes.get("transB") else net.weight(6, ANSWERS)
    if computed:
        kept = net.last
        weight = net.add("Mul", net.given(2.0, np.float32), source=weight)
        net.last = kept
    if attributes.get("transA"):
        net.add("Transpose", perm=[1, 0])
    more = [net.weight(*bias)] if bias is not None else [""] if empty else []
    net.add("Gemm", weight, *more, **attributes)
    net.add("Relu")
    net.add("MatMul", net.weight(ANSWERS, ANSWERS))
    return Case(net.model(), (samples(6),))


def operator(
    kind: str, *more: Any, shape: tuple[int, ...] = (3, 8, 8), size: int = 0, opset: int = OPSET, **attributes: Any
) -> Case:
    """One node; None in `more` is an input that is left empty. The size of the answer is found by inference."""
    net = Net(shape=shape, opset=opset)
    names = ["" if value is None else net.given(value) for value in more]
    outputs = attributes.pop("outputs", ())
    net.add(kind, *names, outputs=outputs, **attributes)
    wide = size or inferred_size(net)
    return of(net, size=wide)


def inferred_size(net: Net) -> int:
    graph = helper.make_graph(
        net.nodes, "part", [info("x", FLOAT, ("n", *net.shape))], [onnx.ValueInfoProto(name=net.last)], net.constants
    )
    part = helper.make_model(graph, opset_imports=[helper.make_opsetid("", net.opset)], ir_version=IR)
    shape = onnx.shape_inference.infer_shapes(part, data_prop=True).graph.output[0].type.tensor_type.shape.dim
    return int(np.prod([dim.dim_value for dim in shape[1:]]))


def i(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def f(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def s(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def recurrent(kind: str, *, bias: bool = True, last: bool = False, **attributes: Any) -> Case:
    """Samples first outside, steps first inside."""
    gates, units = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind], 4
    ways = 2 if attributes.get("direction") == "bidirectional" else 1
    net = Net(shape=(6, 3))
    net.add("Transpose", perm=[1, 0, 2])
    weights = [net.weight(ways, gates * units, 3), net.weight(ways, gates * units, units)]
    more = [*weights, net.weight(ways, 2 * gates * units) if bias else ""]
    outputs = ["steps", "final"] if not last else ["", "final"]
    net.nodes.append(helper.make_node(kind, [net.last, *more], outputs, name=kind, hidden_size=units, **attributes))
    if last:
        net.last = "final"
        net.add("Transpose", perm=[1, 0, 2])
        return of(net, size=ways * units)
    net.last = "steps"
    net.add("Transpose", perm=[2, 0, 1, 3])
    return of(net, size=6 * ways * units)


def old_clip() -> Case:
    net = convolutional(opset=9)
    net.add("Clip", min=-0.2, max=0.4)
    net.add("GlobalAveragePool")
    return of(net, size=4)


PADS = {1: [1, 2], 2: [1, 0, 2, 1], 3: [1, 0, 2, 1, 2, 0]}


def padded(mode: str, rank: int, opset: int = 18) -> Case:
    shape = (6, 5, 4, 5)[: rank - 1]
    inner = len(shape)
    begins, ends = [0] * rank, [0] * rank
    begins[-1], ends[-1] = 2, 1
    if inner > 1:
        begins[-2] = 1
    return operator("Pad", i(*begins, *ends), shape=shape, mode=mode, opset=opset)


def conv(kind: str = "plain") -> Case:
    net = Net()
    if kind == "computed":
        weight = net.add("Mul", net.given(0.5, np.float32), source=net.weight(4, 3, 3, 3))
        net.last = "x"
        net.add("Conv", weight, pads=[1, 1, 1, 1])
    elif kind == "no kernel":
        net.add("Conv", net.weight(4, 3, 3, 3), "", pads=[0, 1, 1, 2])
        return of(net, size=4 * 7 * 9)
    elif kind == "grouped":
        net.add("Conv", net.weight(6, 1, 3, 3), net.weight(6), group=3, auto_pad="SAME_UPPER")
        return of(net, size=6 * 64)
    else:
        net.add("Conv", net.weight(4, 3, 3, 3), net.weight(4), pads=[1, 1, 1, 1])
    return of(net, size=4 * 64)


def normalized(kind: str) -> Case:
    if kind == "batch":
        net = convolutional()
        net.add(
            "BatchNormalization",
            *(net.given(np.abs(net.random.normal(1, 0.2, 4)).astype(np.float32)) for _ in range(4)),
        )
        return of(net, size=256)
    if kind == "layer":
        return operator("LayerNormalization", f(*np.linspace(0.5, 1.5, 8)), shape=(5, 8))
    if kind == "layer-axis":
        return operator(
            "LayerNormalization", np.ones((5, 8), np.float32), np.full((5, 8), 0.1, np.float32), axis=1, shape=(5, 8)
        )
    if kind == "instance":
        return operator("InstanceNormalization", f(1, 0.5, 2), f(0, 1, 0))
    return operator(
        "GroupNormalization", f(1, 1, 0.5, 2), f(0, 1, 0, 0), shape=(4, 5, 5), num_groups=2, opset=21, size=100
    )


def lrn() -> Net:
    net = Net()
    net.add("LRN", size=3)
    return net


def attention() -> Case:
    """Two computed operands, with an open batch."""
    net = Net(shape=(5, 8))
    query, key = net.add("MatMul", net.weight(8, 8)), net.add("MatMul", net.weight(8, 8), source="x")
    turned = net.add("Transpose", source=key, perm=[0, 2, 1])
    net.add("MatMul", turned, source=query)
    net.add("Softmax", axis=-1)
    net.add("MatMul", "x")
    return of(net, size=40)


Build = Callable[[], Case]

CASES: dict[str, Build] = {
    "minus-one-batch": lambda: minus_one((-1, 3, 8, 8), (-1, ANSWERS)),
    "minus-one-everywhere": lambda: minus_one((-1, 3, -1, -1), (-1, -1), (-1, 4, -1, -1)),
    "minus-one-inside": lambda: minus_one(("n", 3, 8, 8), ("n", ANSWERS), (-1, 4, 8, 8)),
    "no-shape-out": no_shape_out,
    "no-rank-in": no_rank_in,
    "unset-batch": unset_batch,
    "open-24": lambda: open_sizes(24, ("h", "w")),
    "open-24-unset": lambda: open_sizes(24, (None, None)),
    "open-24-minus-one": lambda: open_sizes(24, (-1, -1)),
    "open-same-name-20": lambda: open_sizes(20, ("size", "size")),
    "batch-1": lambda: fixed(1, of(pooled(), size=4)),
    "batch-1-reshape": lambda: fixed(1, reshaped((1, 256))),
    "batch-2-reshape": lambda: fixed(2, reshaped((2, 256))),
    "open-batch-reshape-1": lambda: reshaped((1, 256)),
    "open-batch-reshape-1-rest": lambda: reshaped((1, -1)),
    "open-batch-reshape-4": lambda: reshaped((4, 256)),
    "shape-reshape": shape_reshape,
    "shape-reshape-open": lambda: shape_reshape(open_width=True),
    "batch-expand": batch_expand,
    "batch-constant": batch_constant,
    "batch-range": batch_range,
    "if-constant": lambda: conditional("constant"),
    "if-shape": lambda: conditional("shape"),
    "if-data": lambda: conditional("data"),
    "if-squeeze": squeezing_if,
    "loop-known": lambda: looped(True),
    "loop-shape": lambda: looped(False),
    "scan": scanned,
    "sequence": sequences,
    "optional": optional,
    "function": local_function,
    "weights-as-inputs-3": lambda: weights_as_inputs(3),
    "weights-as-inputs-8": lambda: weights_as_inputs(8),
    "sparse": sparse,
    "external": external,
    "open-lengths": open_lengths,
    "rounded": rounded,
    "rounded-weights": lambda: rounded(values=False),
    "constants-as-nodes": constants_as_nodes,
    "float16": lambda: typed(TensorProto.FLOAT16),
    "inner-float16": lambda: inner_type(TensorProto.FLOAT16),
    "inner-double": lambda: inner_type(TensorProto.DOUBLE),
    "strings": strings,
    "contributed-gelu": lambda: contributed("Gelu"),
    "contributed-matmul": lambda: contributed("FusedMatMul"),
    "contributed-bias-gelu": lambda: contributed("BiasGelu"),
    "unnamed": unnamed,
    "passed-on": passed_on,
    "tokens-int64": token_ids,
    "tokens-int32": lambda: token_ids(np.int32, TensorProto.INT32),
    "gemm-bias-row": lambda: gemm((1, ANSWERS)),
    "gemm-bias-scalar": lambda: gemm(()),
    "gemm-bias-one": lambda: gemm((1,)),
    "gemm-bias-one-one": lambda: gemm((1, 1)),
    "gemm-no-bias": gemm,
    "gemm-empty-bias": lambda: gemm(empty=True),
    "gemm-alpha-beta": lambda: gemm((ANSWERS,), alpha=0.5, beta=2.0),
    "gemm-alpha-row": lambda: gemm((1, ANSWERS), alpha=0.5, beta=0.5, transB=1),
    "gemm-trans-b": lambda: gemm((ANSWERS,), transB=1),
    "gemm-trans-a": lambda: gemm((ANSWERS,), transA=1),
    "gemm-trans-a-row": lambda: gemm((1, ANSWERS), transA=1, transB=1, alpha=0.7),
    "gemm-computed": lambda: gemm((ANSWERS,), computed=True),
    "clip-min": lambda: operator("Clip", s(-0.2)),
    "clip-min-empty": lambda: operator("Clip", s(-0.2), None),
    "clip-max": lambda: operator("Clip", None, s(0.3)),
    "clip-none": lambda: operator("Clip"),
    "clip-both-empty": lambda: operator("Clip", None, None),
    "clip-both": lambda: operator("Clip", s(-0.2), s(0.3)),
    "clip-old": old_clip,
    "clip-relu6": lambda: operator("Clip", s(0), s(6)),
    **{
        f"pad-{mode}-{rank}": (lambda mode=mode, rank=rank: padded(mode, rank))
        for mode in ("constant", "reflect", "edge")
        for rank in (2, 3, 4, 5)
    },
    "pad-wrap": lambda: padded("wrap", 4, 19),
    "pad-axes": lambda: operator("Pad", i(1, 2), None, i(-1), mode="reflect", opset=18),
    "pad-empty-value-axes": lambda: operator("Pad", i(1, 2), None, i(2), opset=18),
    "pad-negative": lambda: operator("Pad", i(0, 0, -1, 1, 0, 0, 2, -2)),
    "pad-negative-edge": lambda: operator("Pad", i(0, 0, -1, 1, 0, 0, 2, -2), mode="edge"),
    "pad-channels-edge": lambda: operator("Pad", i(0, 1, 0, 0, 0, 2, 0, 0), mode="edge"),
    "pad-wide-edge": lambda: operator("Pad", i(0, 0, 9, 0, 0, 0, 0, 10), mode="edge"),
    "resize-scales": lambda: operator("Resize", None, f(1, 1, 2, 2), size=3 * 256, mode="nearest"),
    "resize-roi": lambda: operator("Resize", f(), f(1, 1, 2, 2), size=3 * 256, mode="linear"),
    "resize-sizes": lambda: operator("Resize", None, None, i(16, 12), size=576, axes=[2, 3], mode="linear", opset=18),
    "resize-cubic": lambda: operator("Resize", None, f(1, 1, 2, 2), size=768, mode="cubic"),
    "upsample": lambda: operator("Upsample", f(1, 1, 2, 2), size=768, mode="nearest", opset=9),
    "slice-plain": lambda: operator("Slice", i(0, 1), i(2**62, 3)),
    "slice-empty-axes": lambda: operator("Slice", i(0, 0, 1, 2), i(2**62, 3, 7, 8), None, i(1, 1, 2, 3)),
    "slice-far": lambda: operator("Slice", i(-100), i(100), i(3)),
    "slice-back": lambda: operator("Slice", i(-1), i(-(2**62)), i(3), i(-2)),
    "lstm": lambda: recurrent("LSTM"),
    "lstm-no-bias": lambda: recurrent("LSTM", bias=False),
    "lstm-final": lambda: recurrent("LSTM", last=True),
    "lstm-both": lambda: recurrent("LSTM", direction="bidirectional"),
    "gru": lambda: recurrent("GRU", linear_before_reset=1),
    "gru-final": lambda: recurrent("GRU", last=True, linear_before_reset=1),
    "gru-reset": lambda: recurrent("GRU"),
    "rnn": lambda: recurrent("RNN"),
    "layer-norm": lambda: normalized("layer"),
    "layer-norm-axis": lambda: normalized("layer-axis"),
    "batch-norm": lambda: normalized("batch"),
    "instance-norm": lambda: normalized("instance"),
    "group-norm": lambda: normalized("group"),
    "dropout-ratio": lambda: operator("Dropout", s(0.5)),
    "dropout-off": lambda: operator("Dropout", None, np.array(False)),
    "dropout-two": lambda: operator("Dropout", s(0.5), np.array(False), outputs=("kept", "mask")),
    "dropout-on": lambda: refused(operator("Dropout", s(0.5), np.array(True)), "differ each time (Dropout '"),
    "reduce-sum-none": lambda: operator("ReduceSum", size=1),
    "reduce-sum-noop": lambda: operator("ReduceSum", noop_with_empty_axes=1),
    "reduce-sum-empty": lambda: operator("ReduceSum", i(), noop_with_empty_axes=1),
    "reduce-sum-axes": lambda: operator("ReduceSum", i(-1), keepdims=0),
    "reduce-mean-18": lambda: operator("ReduceMean", i(2, 3), opset=18),
    "reduce-max-bare": lambda: operator("ReduceMax", i(1, 2, 3), keepdims=1, opset=18),
    "squeeze-none": lambda: operator("Squeeze", shape=(3, 1, 8), size=24),
    "squeeze-axes": lambda: operator("Squeeze", i(-2), shape=(3, 1, 8)),
    "unsqueeze": lambda: operator("Unsqueeze", i(1, -1)),
    "softmax-11": lambda: operator("Softmax", axis=1, shape=(4, 6), opset=11),
    "softmax": lambda: operator("Softmax", axis=1),
    "conv": conv,
    "conv-computed": lambda: conv("computed"),
    "conv-empty-bias": lambda: conv("no kernel"),
    "conv-grouped": lambda: conv("grouped"),
    "conv-transpose": lambda: operator("ConvTranspose", np.ones((3, 2, 3, 3), np.float32) / 9, None, strides=[2, 2]),
    "pool-ceil": lambda: operator("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "pool-average-pads": lambda: operator("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0]),
    "pool-average-count": lambda: operator(
        "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1
    ),
    "pool-average-ceil": lambda: operator("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "pool-uneven": lambda: operator("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
    "lp-pool": lambda: operator("LpPool", kernel_shape=[2, 2], strides=[2, 2]),
    "lrn": lambda: of(lrn(), size=192),
    "prelu-channel": lambda: operator("PRelu", np.array([0.1, 0.2, 0.3], np.float32).reshape(3, 1, 1)),
    "prelu-one": lambda: operator("PRelu", f(0.25)),
    "leaky": lambda: operator("LeakyRelu", alpha=0.3),
    "hard-swish": lambda: operator("HardSwish"),
    "celu": lambda: operator("Celu", alpha=0.7),
    "shrink": lambda: operator("Shrink", lambd=0.5, bias=0.1),
    "mod": lambda: operator("Mod", s(0.7), fmod=1),
    "top-k": lambda: operator("TopK", i(3), shape=(6, 8), outputs=("top", "places")),
    "einsum": lambda: operator("Einsum", np.ones((8, 4), np.float32), equation="bchw,wk->bchk", size=3 * 8 * 4),
    "cumsum-reverse": lambda: operator("CumSum", np.array(1, np.int64), shape=(4, 5), reverse=1, exclusive=1),
    "depth-to-space": lambda: operator("DepthToSpace", shape=(4, 4, 4), blocksize=2, mode="CRD"),
    "trilu": lambda: operator("Trilu", shape=(5, 5), upper=0),
    "gather": lambda: operator("Gather", i(2, 0), axis=-1),
    "gather-scalar": lambda: operator("Gather", np.array(1, np.int64), axis=1),
    "split-uneven": lambda: operator("Split", outputs=("a", "b"), axis=2, num_outputs=2, shape=(3, 7, 2), opset=18),
    "split-sizes": lambda: operator("Split", i(2, 6), axis=3, outputs=("a", "b")),
    "tile": lambda: operator("Tile", i(1, 2, 1, 1)),
    "expand": lambda: operator("Expand", i(1, 3, 8, 8)),
    "hardmax": lambda: operator("Hardmax", axis=-1, shape=(4, 6)),
    "log-softmax": lambda: operator("LogSoftmax", axis=1),
    "mean-variance": lambda: operator("MeanVarianceNormalization", axes=[2, 3]),
    "global-lp": lambda: operator("GlobalLpPool", p=2),
    "attention": attention,
    "pow-int": lambda: operator("Pow", np.array(2, np.int64)),
    "where": lambda: operator("Max", s(0.1)),
    "sum-many": lambda: operator("Sum", s(0.1), s(0.2)),
    "space-to-depth": lambda: operator("SpaceToDepth", blocksize=2),
    "random": lambda: refused(operator("RandomNormalLike"), "differ each time (RandomNormalLike '"),
    "lp-normalization": lambda: operator("LpNormalization", axis=1, p=1),
    "gelu-20": lambda: operator("Gelu", opset=20),
    "reshape-zero": lambda: operator("Reshape", i(0, -1)),
    "reshape-allow-zero": lambda: operator("Reshape", i(-1, 3, 64), size=192),
    "identity": lambda: operator("Identity"),
    "relu-18-mish": lambda: operator("Mish", opset=18),
}
