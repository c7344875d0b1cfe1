"""Follows the sizes that a graph computes from the shapes of its tensors, and writes them as plain sizes.

onnx2torch reads a shape into a tensor. A tracer can't follow a size that is a tensor: FX graph mode and torch.export
fail, and a TorchScript trace holds the batch size of its example. `Tensor.size` they all follow, and arithmetic on it.
Import it after `torchvision_stub.install()`.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx2torch.node_converters.binary_math_operations import OnnxBinaryMathOperation
from onnx2torch.node_converters.cast import OnnxCast
from onnx2torch.node_converters.comparisons import OnnxCompare
from onnx2torch.node_converters.concat import OnnxConcat
from onnx2torch.node_converters.constant_of_shape import OnnxConstantOfShape
from onnx2torch.node_converters.cumsum import OnnxCumSum
from onnx2torch.node_converters.expand import OnnxExpand
from onnx2torch.node_converters.gather import OnnxGather
from onnx2torch.node_converters.pad import OnnxPadDynamic
from onnx2torch.node_converters.range import OnnxRange
from onnx2torch.node_converters.reduce import OnnxReduceStaticAxes, OnnxReduceSumDynamicAxes
from onnx2torch.node_converters.reshape import OnnxReshape
from onnx2torch.node_converters.resize import OnnxResize
from onnx2torch.node_converters.shape import OnnxShape
from onnx2torch.node_converters.slice import OnnxSlice
from onnx2torch.node_converters.split import OnnxSplit, OnnxSplit13
from onnx2torch.node_converters.squeeze import OnnxSqueezeDynamicAxes
from onnx2torch.node_converters.tile import OnnxTile
from onnx2torch.node_converters.topk import OnnxTopK
from onnx2torch.node_converters.unsqueeze import OnnxUnsqueezeDynamicAxes
from onnx2torch.node_converters.where import OnnxWhere

from images.torch.convert.converters.constant_arguments import apply_product, apply_slice, apply_unsqueeze
from images.torch.convert.converters.elementwise import Combine, count_values
from images.torch.convert.converters.registry import Apply
from shared.errors import Unsupported

MAX_VALUES = 64  # of a tensor that may be sizes: a shape has few
END = 2**31 - 1  # a slice to here or beyond goes to the end
Sizes = NDArray[Any]  # of int and Size
Evaluate = Callable[["SizeFollower", torch.fx.Node], Sizes]
Make = Callable[["SizeFollower", torch.fx.Node], torch.fx.Node]


class UnknownSizeError(Exception):
    """The sizes can't be told: the graph keeps its node."""


@dataclass(frozen=True, eq=False)
class Size:
    """A size that depends on the inputs' sizes: the node of the graph that gives it, an int.

    `never_negative` is false for a difference.
    """

    node: torch.fx.Node
    never_negative: bool = True

    def apply(self, function: Callable[[Any, Any], Any], *operands: Any) -> "Size":
        """Return the size that `function` makes of the operands, of which this is one."""
        nodes = tuple(item.node if isinstance(item, Size) else item for item in operands)
        positive = function is not operator.sub and all(is_never_negative(item) for item in operands)
        return Size(self.node.graph.call_function(function, nodes), positive)

    def __add__(self, other: Any) -> "Size":
        return self.apply(operator.add, self, other)

    def __radd__(self, other: Any) -> "Size":
        return self.apply(operator.add, other, self)

    def __sub__(self, other: Any) -> "Size":
        return self.apply(operator.sub, self, other)

    def __rsub__(self, other: Any) -> "Size":
        return self.apply(operator.sub, other, self)

    def __mul__(self, other: Any) -> "Any":
        if is_number(other, 0):
            return 0
        return self if is_number(other, 1) else self.apply(operator.mul, self, other)

    __rmul__ = __mul__


def is_number(value: Any, number: int) -> bool:
    """Is the value this number, and no size that depends on the inputs?"""
    return not isinstance(value, Size) and bool(value == number)


def is_never_negative(value: Any) -> bool:
    return value.never_negative if isinstance(value, Size) else bool(value >= 0)


def divide(first: Any, second: Any) -> Any:
    """Divide as ONNX divides integers, toward zero; UnknownSizeError if the signs aren't known."""
    if isinstance(second, Size) or second <= 0 or not is_never_negative(first):
        raise UnknownSizeError
    return first.apply(operator.floordiv, first, second) if isinstance(first, Size) else first // second


def is_equal(first: Any, second: Any) -> bool:
    """Are the two equal? UnknownSizeError if that depends on the inputs."""
    sizes = [item for item in (first, second) if isinstance(item, Size)]
    if not sizes:
        return bool(first == second)
    if len(sizes) == 2 and sizes[0].node is sizes[1].node:
        return True
    number = second if sizes[0] is first else first
    if len(sizes) == 2 or number >= 0 or not sizes[0].never_negative:
        raise UnknownSizeError
    return False


def broadcast(first: Any, second: Any) -> Any:
    """Return the greater of two sizes that a graph broadcasts: they are equal, or one of them is 1.

    No tracer follows `max` of sizes that it doesn't know. PyTorch fails if the two are other sizes.
    """
    sizes = [item for item in (first, second) if isinstance(item, Size)]
    if not sizes:
        return max(first, second)
    others = [item for item in (first, second) if not isinstance(item, Size)]
    if (others and others[0] <= 1) or (not others and sizes[0].node is sizes[1].node):
        return sizes[0]
    graph = sizes[0].node.graph
    masks = [
        graph.call_function(torch.ones, (size,), {"dtype": torch.bool}) for size in to_list(to_array([first, second]))
    ]
    return Size(graph.call_method("size", (graph.call_function(torch.logical_or, tuple(masks)), 0)))


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.frompyfunc(operator.add, 2, 1),
    "sub": np.frompyfunc(operator.sub, 2, 1),
    "mul": np.frompyfunc(operator.mul, 2, 1),
    "div": np.frompyfunc(divide, 2, 1),
}


def to_array(values: Any) -> Sizes:
    """Return an array of objects: NumPy's functions return a bare object for an array without axes."""
    return values if isinstance(values, np.ndarray) else np.array(values, object)


def to_list(values: Sizes) -> list[Any]:
    """Return the sizes as ints, and nodes of the graph."""
    return [item.node if isinstance(item, Size) else int(item) for item in values.reshape(-1)]


class SizeFollower:
    """Replaces what `module` computes from shapes; `sizes` are those of the tensors of its ONNX file, by name.

    The module must have been converted with `attach_onnx_mapping`.
    """

    def __init__(self, module: torch.fx.GraphModule, sizes: Mapping[str, Sequence[int]]) -> None:
        self.module, self.graph, self.sizes = module, module.graph, sizes
        self.known: dict[torch.fx.Node, Sizes] = {}
        self.computed: dict[torch.fx.Node, torch.dtype] = {}  # the known ones that are no constants of the file

    def run(self) -> None:
        """Rewrite the graph in place."""
        for node in [node for node in self.graph.nodes if node.op == "call_module"]:
            with self.graph.inserting_before(node):
                self.follow(node)
        for node in self.computed:
            self.write_tensor(node)
        self.graph.eliminate_dead_code()
        self.module.recompile()

    def follow(self, node: torch.fx.Node) -> None:
        """Learn the sizes that the node computes, or replace it if it takes sizes."""
        kind = type(self.submodule(node))
        if self.reads_shape(node):
            with suppress(UnknownSizeError):
                self.remember(node, self.read_shape(node), torch.int64)
        elif all(item in self.computed or item.op == "get_attr" for item in node.all_input_nodes) and kind in EVALUATE:
            with suppress(UnknownSizeError):
                self.remember(node, EVALUATE[kind](self, node), self.result_type(node))
        takes_sizes = any(item in self.computed for item in node.all_input_nodes)
        if node not in self.computed and takes_sizes and kind in MAKE:
            with suppress(UnknownSizeError):
                node.replace_all_uses_with(MAKE[kind](self, node))

    def remember(self, node: torch.fx.Node, values: Any, dtype: torch.dtype) -> None:
        self.known[node], self.computed[node] = to_array(values), dtype

    def submodule(self, node: torch.fx.Node) -> Any:
        return self.module.get_submodule(str(node.target))

    def result_type(self, node: torch.fx.Node) -> torch.dtype:
        """Return the type of the node's output, which is known."""
        module = self.submodule(node)
        if isinstance(module, OnnxCast):
            return module.torch_dtype
        if isinstance(module, OnnxCompare):
            return torch.bool
        if isinstance(module, OnnxConstantOfShape):
            return module.value.dtype
        source = node.args[1 if isinstance(module, OnnxWhere) else 0]
        return self.computed[source] if source in self.computed else self.constant(source).dtype

    def input_sizes(self, node: torch.fx.Node) -> Sequence[int]:
        """Return the sizes of the node's first input, 0 for those that the file leaves open."""
        name = self.submodule(node).onnx_mapping.inputs[0]
        if name not in self.sizes:
            raise UnknownSizeError
        return self.sizes[name]

    def reads_shape(self, node: torch.fx.Node) -> bool:
        """Is the node a Shape or a Size?"""
        module = self.submodule(node)
        return isinstance(module, OnnxShape) or (isinstance(module, Apply) and module.function is count_values)

    def read_shape(self, node: torch.fx.Node) -> Any:
        """Return the sizes of the node's input: those that the file states, and those that the tensor will have.

        For a Size it is their product.
        """
        module, data, axes = self.submodule(node), node.args[0], list(enumerate(self.input_sizes(node)))
        shape = axes[module._start : module._end] if isinstance(module, OnnxShape) else axes
        sizes = [size or Size(self.graph.call_method("size", (data, axis))) for axis, size in shape]
        return sizes if isinstance(module, OnnxShape) else prod(sizes)

    def read(self, node: Any) -> Sizes:
        """Return the values of an argument. UnknownSizeError if they are data, or too many to be sizes."""
        if node not in self.known:
            tensor = self.constant(node)
            if tensor.is_floating_point() or tensor.numel() > MAX_VALUES:
                raise UnknownSizeError
            self.known[node] = tensor.numpy().astype(object)
        return self.known[node]

    def constant(self, node: Any) -> torch.Tensor:
        """Return a constant of the file. UnknownSizeError if the argument is computed."""
        if not isinstance(node, torch.fx.Node) or node.op != "get_attr":
            raise UnknownSizeError
        tensor: torch.Tensor = operator.attrgetter(str(node.target))(self.module)
        return tensor

    def write_tensor(self, node: torch.fx.Node) -> None:
        """Write the sizes as a tensor for those readers that still take one."""
        values, dtype = self.known[node], self.computed[node]
        with self.graph.inserting_before(node):
            items = to_list(values)
            if not has_open_size(values):
                tensor = self.add_constant(torch.tensor(items, dtype=dtype).reshape(values.shape))
            else:
                numbers = [self.graph.call_function(torch.full, ((), item), {"dtype": dtype}) for item in items]
                tensor = self.graph.call_function(torch.stack, (numbers,)) if values.ndim else numbers[0]
                if values.ndim > 1:
                    tensor = self.graph.call_method("reshape", (tensor, *values.shape))
        node.replace_all_uses_with(tensor)

    def add_constant(self, value: torch.Tensor) -> torch.fx.Node:
        """Return a node that reads a new constant."""
        name = f"sizes_{sum(1 for _ in self.module.buffers())}"
        while hasattr(self.module, name):
            name += "_"
        self.module.register_buffer(name, value)
        return self.graph.get_attr(name)


def has_open_size(values: Sizes) -> bool:
    """Does one of the sizes depend on the inputs?"""
    return any(isinstance(item, Size) for item in values.reshape(-1))


def evaluate_binary(follower: SizeFollower, node: torch.fx.Node) -> Sizes:
    function = follower.submodule(node).math_op_function
    name = next((name for name, item in ARITHMETIC.items() if item is function), "div")
    first, second = map(follower.read, node.args)
    return to_array(BINARY[name](first, second))


def evaluate_combination(follower: SizeFollower, node: torch.fx.Node) -> Sizes:
    """Evaluate Max, which shapes are broadcast with."""
    if follower.submodule(node).function is not torch.maximum:
        raise UnknownSizeError
    return to_array(reduce(np.frompyfunc(broadcast, 2, 1), map(follower.read, node.args)))


def evaluate_concat(follower: SizeFollower, node: torch.fx.Node) -> Sizes:
    return np.concatenate([follower.read(item) for item in node.args], axis=follower.submodule(node).axis)


def evaluate_gather(follower: SizeFollower, node: torch.fx.Node) -> Sizes:
    data, indices = map(follower.read, node.args)
    if has_open_size(indices):
        raise UnknownSizeError
    return to_array(np.take(data, indices.astype(np.int64), axis=follower.submodule(node)._axis))


def evaluate_cast(follower: SizeFollower, node: torch.fx.Node) -> Sizes:
    if follower.submodule(node).torch_dtype not in (torch.int32, torch.int64):
        raise UnknownSizeError
    return follower.read(node.args[0])


def evaluate_applied(follower: SizeFollower, node: torch.fx.Node) -> Sizes:
    """Evaluate one of our own modules with constant arguments."""
    module, values = follower.submodule(node), follower.read(node.args[0])
    if module.function is apply_slice:
        flipped = np.flip(values, module.constants["flipped"])
        return to_array(flipped[module.constants["places"]])
    if module.function is apply_unsqueeze:
        return np.expand_dims(values, module.constants["axes"])
    if module.function is apply_product:
        return to_array(np.prod(values, axis=module.constants["dim"], keepdims=module.constants["keepdim"]))
    raise UnknownSizeError


def evaluate_squeeze(follower: SizeFollower, node: torch.fx.Node) -> Sizes:
    values = follower.read(node.args[0])
    axes = follower.read(node.args[1]).reshape(-1) if len(node.args) > 1 else None
    return to_array(np.squeeze(values, None if axes is None else tuple(map(int, axes))))


def evaluate_product(follower: SizeFollower, node: torch.fx.Node) -> Sizes:
    module, values = follower.submodule(node), follower.read(node.args[0])
    if module.operation_type != "ReduceProd":
        raise UnknownSizeError
    axes = tuple(module.axes) if module.axes else None
    return to_array(np.prod(values, axis=axes, keepdims=module.keepdims))


def evaluate_reshape(follower: SizeFollower, node: torch.fx.Node) -> Sizes:
    values, target = map(follower.read, node.args)
    if has_open_size(target) or 0 in target:
        raise UnknownSizeError
    return values.reshape([int(size) for size in target.reshape(-1)])


def evaluate_compare(follower: SizeFollower, node: torch.fx.Node) -> Sizes:
    if follower.submodule(node).compare_function is not torch.eq:
        raise UnknownSizeError
    first, second = map(follower.read, node.args)
    return to_array(np.frompyfunc(is_equal, 2, 1)(first, second))


def evaluate_where(follower: SizeFollower, node: torch.fx.Node) -> Sizes:
    condition, first, second = map(follower.read, node.args)
    return to_array(np.where(condition.astype(bool), first, second))


def evaluate_filled(follower: SizeFollower, node: torch.fx.Node) -> Sizes:
    shape, value = follower.read(node.args[0]), follower.submodule(node).value
    if has_open_size(shape) or value.is_floating_point() or prod(shape) > MAX_VALUES:
        raise UnknownSizeError
    return np.full([int(size) for size in shape], value.item(), object)


def make_reshape(follower: SizeFollower, node: torch.fx.Node) -> torch.fx.Node:
    data, target = node.args
    sizes = to_list(follower.read(target))
    shape = [follower.graph.call_method("size", (data, axis)) if size == 0 else size for axis, size in enumerate(sizes)]
    return follower.graph.call_method("reshape", (data, *shape))


def make_expand(follower: SizeFollower, node: torch.fx.Node) -> torch.fx.Node:
    """Expand; a size of 1 keeps the input's size."""
    data, target = node.args
    sizes, rank = to_list(follower.read(target)), len(follower.input_sizes(node))
    added = max(len(sizes) - rank, 0)
    kept = [-1 if place >= added and is_one(size) else size for place, size in enumerate(sizes)]
    return follower.graph.call_method("expand", (data, [-1] * (rank - len(sizes)) + kept))


def is_one(size: Any) -> bool:
    return isinstance(size, int) and size == 1


def make_tile(follower: SizeFollower, node: torch.fx.Node) -> torch.fx.Node:
    data, repeats = node.args
    return follower.graph.call_method("repeat", (data, *to_list(follower.read(repeats))))


def make_filled(follower: SizeFollower, node: torch.fx.Node) -> torch.fx.Node:
    sizes, value = to_list(follower.read(node.args[0])), follower.submodule(node).value
    return follower.graph.call_function(torch.full, (sizes, value.item()), {"dtype": value.dtype})


def make_range(follower: SizeFollower, node: torch.fx.Node) -> torch.fx.Node:
    bounds = [follower.read(item) for item in node.args]
    [start, limit, step] = [to_list(item)[0] for item in bounds]
    dtype = follower.result_type(node) if node.args[0] in follower.computed else follower.constant(node.args[0]).dtype
    if any(map(has_open_size, bounds)):
        return follower.graph.call_function(torch.arange, (start, limit, step), {"dtype": dtype})
    return follower.add_constant(torch.arange(start, limit, step, dtype=dtype))


def make_slice(follower: SizeFollower, node: torch.fx.Node) -> torch.fx.Node:
    """Slice forward between computed bounds."""
    names = ("input_tensor", "starts", "ends", "axes", "steps")
    arguments = dict(zip(names, node.args, strict=False)) | node.kwargs
    rank = len(follower.input_sizes(node))
    starts, ends = (to_list(follower.read(arguments[name])) for name in ("starts", "ends"))
    axes = to_list(follower.read(arguments["axes"])) if "axes" in arguments else range(len(starts))
    steps = to_list(follower.read(arguments["steps"])) if "steps" in arguments else [1] * len(starts)
    places = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not isinstance(step, int) or step < 1:
            raise UnknownSizeError
        last = None if isinstance(end, int) and end >= END else end
        places[axis % rank] = slice(start, last, step)
    return follower.graph.call_function(operator.getitem, (arguments["input_tensor"], tuple(places)))


ARITHMETIC = {"add": torch.add, "sub": torch.sub, "mul": torch.mul}
EVALUATE: dict[type, Evaluate] = {
    OnnxBinaryMathOperation: evaluate_binary,
    Combine: evaluate_combination,
    OnnxConcat: evaluate_concat,
    OnnxGather: evaluate_gather,
    OnnxCast: evaluate_cast,
    Apply: evaluate_applied,
    OnnxSqueezeDynamicAxes: evaluate_squeeze,
    OnnxReduceStaticAxes: evaluate_product,
    OnnxReshape: evaluate_reshape,
    OnnxCompare: evaluate_compare,
    OnnxWhere: evaluate_where,
    OnnxConstantOfShape: evaluate_filled,
    torch.nn.Identity: lambda follower, node: follower.read(node.args[0]),
}
SIZES_ALONE = (OnnxRange, OnnxConstantOfShape)  # they turn what they take into Python's numbers
SIZES_LATER = (  # they do so with all that they take but the first
    *(OnnxReshape, OnnxExpand, OnnxTile, OnnxSlice, OnnxTopK, OnnxPadDynamic, OnnxSplit, OnnxSplit13, OnnxResize),
    *(OnnxCumSum, OnnxReduceSumDynamicAxes, OnnxSqueezeDynamicAxes, OnnxUnsqueezeDynamicAxes),
)
MAKE: dict[type, Make] = {
    OnnxReshape: make_reshape,
    OnnxExpand: make_expand,
    OnnxTile: make_tile,
    OnnxConstantOfShape: make_filled,
    OnnxRange: make_range,
    OnnxSlice: make_slice,
}


def follow_sizes(module: torch.fx.GraphModule, model: onnx.ModelProto) -> None:
    """Rewrite in place what `module`, converted from `model` with `attach_onnx_mapping`, computes from shapes."""
    if any(node.op_type in ("Shape", "Size") for node in model.graph.node):
        SizeFollower(module, tensor_sizes(infer_shapes(model).graph)).run()
    for item in module.modules():
        if hasattr(item, "onnx_mapping"):
            del item.onnx_mapping


def check_sizes(module: torch.fx.GraphModule) -> None:
    """Raise Unsupported if a size is computed from the values of an input: a trace would hold that of its example."""
    from_data: set[torch.fx.Node] = set()
    for node in module.graph.nodes:
        own = module.get_submodule(node.target) if node.op == "call_module" else None
        sizes = node.all_input_nodes if isinstance(own, SIZES_ALONE) else node.all_input_nodes[1:]
        if isinstance(own, (*SIZES_ALONE, *SIZES_LATER)) and not from_data.isdisjoint(sizes):
            raise Unsupported(
                f"a size that {node.target} takes is computed from data, which no trace of PyTorch follows"
            )
        asks_for_shape = isinstance(own, OnnxShape) or (node.op, node.target) == ("call_method", "size")
        if node.op == "placeholder" or (not asks_for_shape and not from_data.isdisjoint(node.all_input_nodes)):
            from_data.add(node)


def infer_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Infer the shapes; the model stays as it is if the shapes that it states contradict each other."""
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        print(f"shapes are left as they are: {error}")
        return model


def tensor_sizes(graph: onnx.GraphProto) -> dict[str, list[int]]:
    """Return the sizes of each tensor whose rank is known, 0 for a size that the file leaves open."""
    stated = [
        item for item in (*graph.input, *graph.value_info, *graph.output) if item.type.tensor_type.HasField("shape")
    ]
    sizes = {item.name: [dim.dim_value for dim in item.type.tensor_type.shape.dim] for item in stated}
    return sizes | {tensor.name: list(tensor.dims) for tensor in graph.initializer}
