"""Random small Keras models as data: Hypothesis draws them here, and tests/random_models/build.py makes them.

A model is a list of steps over tensors of four kinds: an image (height, width, channels), a sequence (steps, features),
a vector (features), and tokens (steps,) of whole numbers. A step that Keras refuses for its tensor is left out when the
model is made, so that the grammar need not know shapes.
"""

from typing import Any

from hypothesis import strategies as st

Spec = dict[str, Any]
SIZES = st.integers(1, 4)
SMALL = st.integers(1, 3)
FILTER = st.sampled_from(["nearest", "bilinear"])
PADDING = st.sampled_from(["same", "valid"])
ACTIVATION = st.sampled_from(
    ["relu", "relu6", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "hard_sigmoid", "hard_silu", "softplus", "mish"]
)

# By the kind of tensor that a layer takes: its class, the kind that it gives, and its arguments.
LAYERS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "image": {
        "Conv2D": (
            "image",
            {
                "filters": st.sampled_from([2, 4, 6]),
                "kernel_size": SMALL,
                "strides": st.integers(1, 2),
                "padding": PADDING,
                "groups": st.sampled_from([1, 1, 2]),
                "activation": ACTIVATION,
            },
        ),
        "DepthwiseConv2D": ("image", {"kernel_size": SMALL, "depth_multiplier": st.integers(1, 2), "padding": PADDING}),
        "SeparableConv2D": ("image", {"filters": SIZES, "kernel_size": SMALL, "padding": PADDING}),
        "Conv2DTranspose": (
            "image",
            {"filters": SIZES, "kernel_size": SMALL, "strides": st.integers(1, 2), "padding": PADDING},
        ),
        "MaxPooling2D": ("image", {"pool_size": st.integers(2, 3), "padding": PADDING}),
        "AveragePooling2D": ("image", {"pool_size": st.integers(2, 3), "padding": PADDING}),
        "UpSampling2D": (
            "image",
            {"size": st.integers(1, 2), "interpolation": st.sampled_from(["nearest", "bilinear"])},
        ),
        "Resizing": (
            "image",
            {
                "height": st.integers(3, 11),
                "width": st.integers(3, 11),
                "interpolation": st.sampled_from(["nearest", "bilinear"]),
            },
        ),
        "ZeroPadding2D": ("image", {"padding": st.integers(1, 2)}),
        "Cropping2D": ("image", {"cropping": st.just(1)}),
        "BatchNormalization": ("image", {}),
        "GroupNormalization": ("image", {"groups": st.sampled_from([1, 2, -1])}),
        "LayerNormalization": ("image", {}),
        "UnitNormalization": ("image", {}),
        "PReLU": ("image", {"shared_axes": st.sampled_from([None, [1, 2]])}),
        "LeakyReLU": ("image", {"negative_slope": st.sampled_from([0.1, 0.3])}),
        "SpatialDropout2D": ("image", {"rate": st.just(0.2)}),
        "GlobalAveragePooling2D": ("vector", {"keepdims": st.just(False)}),
        "GlobalMaxPooling2D": ("vector", {}),
        "Flatten": ("vector", {}),
    },
    "sequence": {
        "Conv1D": (
            "sequence",
            {
                "filters": st.sampled_from([2, 4]),
                "kernel_size": SMALL,
                "padding": st.sampled_from(["same", "valid", "causal"]),
                "activation": ACTIVATION,
            },
        ),
        "SeparableConv1D": ("sequence", {"filters": SIZES, "kernel_size": SMALL, "padding": PADDING}),
        "Conv1DTranspose": ("sequence", {"filters": SIZES, "kernel_size": SMALL, "padding": PADDING}),
        "MaxPooling1D": ("sequence", {"pool_size": st.just(2)}),
        "AveragePooling1D": ("sequence", {"pool_size": st.just(2), "padding": PADDING}),
        "UpSampling1D": ("sequence", {"size": st.just(2)}),
        "ZeroPadding1D": ("sequence", {"padding": st.integers(1, 2)}),
        "LSTM": ("sequence", {"units": SIZES, "return_sequences": st.just(True), "go_backwards": st.booleans()}),
        "GRU": ("sequence", {"units": SIZES, "return_sequences": st.just(True), "reset_after": st.booleans()}),
        "SimpleRNN": ("vector", {"units": SIZES}),
        "Bidirectional": (
            "sequence",
            {"cell": st.sampled_from(["LSTM", "GRU"]), "units": SIZES, "return_sequences": st.just(True)},
        ),
        "MultiHeadAttention": ("sequence", {"num_heads": st.integers(1, 2), "key_dim": st.integers(2, 3)}),
        "TimeDistributed": ("sequence", {"units": SIZES}),
        "LayerNormalization": ("sequence", {}),
        "BatchNormalization": ("sequence", {}),
        "Dense": ("sequence", {"units": SIZES, "activation": ACTIVATION}),
        "Masking": ("sequence", {"mask_value": st.just(0.0)}),
        "GlobalAveragePooling1D": ("vector", {}),
        "GlobalMaxPooling1D": ("vector", {}),
        "Flatten": ("vector", {}),
    },
    "vector": {
        "Dense": ("vector", {"units": st.sampled_from([2, 3, 8]), "activation": ACTIVATION}),
        "BatchNormalization": ("vector", {}),
        "LayerNormalization": ("vector", {}),
        "Activation": ("vector", {"activation": ACTIVATION}),
        "Rescaling": ("vector", {"scale": st.sampled_from([0.5, 2.0]), "offset": st.sampled_from([0.0, -0.3])}),
        "Dropout": ("vector", {"rate": st.just(0.5)}),
        "RepeatVector": ("sequence", {"n": st.integers(2, 4)}),
        "Softmax": ("vector", {}),
    },
    "tokens": {
        "Embedding": ("sequence", {"input_dim": st.just(12), "output_dim": SIZES, "mask_zero": st.booleans()}),
    },
}
MERGES = ("Add", "Multiply", "Average", "Maximum", "Subtract", "Concatenate", "Dot")
INPUTS: dict[str, Any] = {
    "image": st.tuples(st.integers(5, 9), st.integers(5, 9), st.sampled_from([1, 2, 4])),
    "sequence": st.tuples(st.integers(3, 7), st.integers(1, 4)),
    "vector": st.tuples(st.integers(2, 8)),
    "tokens": st.tuples(st.integers(3, 7)),
}


@st.composite
def models(draw: st.DrawFn) -> Spec:
    """One model: `inputs` (kind, shape), `steps`, how many `outputs`, and the `seed` of weights and samples.

    A step applies a layer to the tensor `of`; with `again`, the layer of that earlier step, whose weights are shared;
    or it merges the tensors `of` and `with`.
    """
    kinds = draw(st.lists(st.sampled_from(sorted(INPUTS)), min_size=1, max_size=2))
    tensors, steps = list(kinds), []
    for _ in range(draw(st.integers(1, 7))):
        last = len(tensors) - 1
        of = draw(st.sampled_from([last, last, last, *range(last)]))
        step: Spec = {"of": of}
        if last and draw(st.integers(0, 4)) == 0:
            step |= {"merge": draw(st.sampled_from(MERGES)), "with": draw(st.integers(0, last))}
            tensors.append(tensors[of])
        elif steps and draw(st.integers(0, 7)) == 0:
            step |= {"again": draw(st.integers(0, len(steps) - 1))}
            tensors.append(tensors[of])
        else:
            name = draw(st.sampled_from(sorted(LAYERS[tensors[of]])))
            kind, arguments = LAYERS[tensors[of]][name]
            step |= {"layer": name, "arguments": {key: draw(value) for key, value in arguments.items()}}
            tensors.append(kind)
        steps.append(step)
    return {
        "inputs": [{"kind": kind, "shape": list(draw(INPUTS[kind]))} for kind in kinds],
        "steps": steps,
        "outputs": draw(st.integers(1, 2)),
        "seed": draw(st.integers(0, 999)),
    }
