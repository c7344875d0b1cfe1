"""Comparisons of thorough experiments: several draws, calibration sizes, other CPUs, explained layers, row warnings."""

from dataclasses import replace

import comparisons
import numpy as np
from variant_makers import accuracy_of

from driver.analysis import statistics
from driver.analysis.results import Draws, Emulated, Point
from driver.decision import row_warnings
from shared.sensitivity.layer_errors import Diagnosis, Error, Layer, Sensitivity

SIZES = (25, 50, 100, 250, 500, 1000, 2500, 5000)
CURVES = {"onnx.u8s8": 0.884, "onnx.int8": 0.879, "torch.x86": 0.8785}
REFUSED = {"torch.x86": {"haswell": "needs AVX512"}}
EXCLUDED = ("model/conv2d_6/Conv2D", "model/dense/MatMul")


def draws(row, sd, number=5):
    """As many accuracies around the row's own, which is the first; the same draws are good or bad for all recipes."""
    own = np.random.default_rng([*row.name.encode()]).normal(0, sd, number)
    values = accuracy_of(row) + own - own[0]
    mean = float(values.mean())
    delta = mean - accuracy_of(comparisons.variant("keras.fp32"))
    return Draws(tuple(values.round(4).tolist()), mean, float(values.std(ddof=1)), delta)


def curve(top):
    rights = [round(2000 * (top - 0.3 / images)) for images in SIZES]
    return tuple(
        Point(images, right / 2000, statistics.wilson_interval(right, 2000))
        for images, right in zip(SIZES, rights, strict=True)
    )


def emulated(cpu, here, there, differing, images=500):
    """`here`, `there`: how many are right."""
    interval = statistics.wilson_interval(there, images)
    p_value = statistics.pair_answers(np.arange(images) < here, np.arange(images) < there).p_value
    return Emulated(cpu, images, there / images, interval, here / images, 1 - differing / images, p_value)


RUNS = {
    "onnx.u8s8": (emulated("haswell", 440, 421, 43), emulated("cascadelake", 440, 440, 0)),
    "onnx.uint8": (emulated("haswell", 436, 436, 0), emulated("cascadelake", 436, 435, 1)),
}


def comparison():
    """The default experiment with all that can be told of its rows."""
    base = comparisons.comparison()
    rows = [thorough(row) if row.quantized and accuracy_of(row) else row for row in base.variants]
    return replace(base, variants=tuple(row_warnings.add_warnings(rows, base.noise, REFUSED)))


def thorough(row):
    same_answers = {"torch.x86": "torch.int8"}  # the same file but for its engine: the same answers
    row_draws = draws(replace(row, name=same_answers.get(row.name, row.name)), 0.0006)
    in_float = EXCLUDED if row.name == "torch.int8" else ()
    top = CURVES.get(row.name)
    return replace(
        row, draws=row_draws, curve=curve(top) if top else (), emulated=RUNS.get(row.name, ()), in_float=in_float
    )


def hundred():
    """A sweep of 100 recipes, all drawn, run on other CPUs, and with row warnings."""
    base = comparisons.hundred()
    rows = []
    for number, row in enumerate(base.variants):
        runs = tuple(emulated(cpu, 440, 440 - number % 5 * 6, number % 7 * 6) for cpu in ("haswell", "cascadelake"))
        drawn = replace(row, draws=draws(row, 0.001), curve=curve(accuracy_of(row)), emulated=runs)
        rows.append(replace(drawn, in_float=EXCLUDED) if row.quantized else row)
    return replace(base, variants=tuple(row_warnings.add_warnings(rows, base.noise, {})))


def layer(name, number, of, accuracy):
    """The first are the most sensitive; every third has no weight."""
    share = (number + 1) / of
    error = Error(8 + 30 * share, 0.9 + 0.0999 * share, 4.2 / (number + 1))
    weight = None if number % 3 == 2 else Error(35.0 + number, 0.9999, 0.01)
    only_weights = None if weight is None else accuracy - 0.002 / (number + 1)
    extent = (0.0, 6.1) if number else (-1.25, 412.5)
    clipped = 0.00002 if number == 1 else 0.0131 / (number + 1)
    kept = accuracy - 0.048 * share
    operator = "Conv" if weight else "Add"
    alone = accuracy - 0.05 / (number + 2)
    return Layer(name, operator, error, weight, extent, clipped, only_weights, alone, kept, 0.11 * share**0.2)


def sensitivity(variant, names, diagnosis=None):
    layers = tuple(layer(name, number, len(names), 0.886) for number, name in enumerate(names))
    return Sensitivity(variant, 500, 0.886, 0.832, 0.884, 0.836, 0.1128, "", layers, diagnosis=diagnosis)


def explained():
    """One of a small model, one of a large one with long names."""
    few = ("model/conv2d_6/Conv2D", *(f"model/conv2d_{number}/Conv2D" for number in range(6)), "model/add/add")
    many = tuple(
        f"functional_1/conv{number // 12 + 1}_block{number % 12}_expanded_depthwise_convolution_relu/Conv2D__{number}"
        for number in range(60)
    )
    sensitivities = sensitivity("onnx.u8s8", few), sensitivity("onnx.int8", many, Diagnosis("range", many[0]))
    return {item.variant: item for item in sensitivities}


def make_page_data(made):
    return comparisons.make_page_data(made, explained=explained())


LONG = "StatefulPartitionedCall/functional_1/conv2d_1/convolution"
ERROR = Error(20.06, 0.999, 0.51234)
CONV = Layer(LONG, "QLinearConv", ERROR, Error(41.0, 1.0, 0.01), (-1.0, 2.0), 0.01, 0.81, 0.82, 0.853, 0.01234)


ADD = replace(CONV, name="[a]add", operator="Add", activation=Error(None, 1.0, 0.0), weight=None, only_weights=None)


DIAGNOSIS = Diagnosis("everywhere")


FOUND = Sensitivity("onnx.int8", 1500, 0.88, 0.8234, 0.87, 0.83, 0.12, "", (CONV, ADD), diagnosis=DIAGNOSIS)


def scored_layer(
    name: str, kept: float, only_weights: float | None, only_activations: float, clipped: float = 0.0
) -> Layer:
    error = Error(20.0, 0.9, 1.0)
    return Layer(name, "Conv", error, error, (-1.5, 2000.0), clipped, only_weights, only_activations, kept, 0.5)
