"""Real quantization: the contents of the file, its answers, and refusals."""

import json
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from images.litert import convert, dynamic, float16, quantize, quantized_operators
from images.litert.session import load, read_file, start_interpreter, tensor_details
from shared.data.samples import take
from shared.errors import CrossquantError, Unsupported
from shared.quantization import already
from tests.images import declared
from tests.images.litert import litert_models as models

POINTS = 0.015  # of accuracy that 8 bits may cost on 2,000 images


def defaults() -> dict[str, Any]:
    return declared.defaults("litert", "quantize")


def counts(folder) -> tuple[int, int]:
    counts = json.loads((folder / "quantized.json").read_text())
    return counts["quantized"], counts["operators"]


def quantized(build, tmp_path, out, **options):
    """The Keras model, after its integer form has been written to `out`."""
    model = models.save(build, tmp_path / "keras.fp32")
    calibration = models.samples(model, tmp_path / "calibration")
    quantize.run(tmp_path / "keras.fp32", calibration, out, **{**defaults(), **options})
    return model


@pytest.mark.parametrize("build", models.MODELS, ids=lambda build: build.__name__)
def test_every_operator_that_computes_is_quantized_and_answers_like_keras(build, tmp_path, out):
    model = quantized(build, tmp_path, out)
    done, total = counts(out)
    assert done == total > 0
    inputs = models.batch(model, 12, seed=1)
    for ours, theirs in zip(load(out, 1)(inputs), models.answers(model, inputs), strict=True):
        assert ours.dtype == np.float32
        noise = np.sum((ours - theirs) ** 2) / np.sum((theirs - theirs.mean()) ** 2)
        assert 0 < noise < 0.05


def test_no_operator_is_left_in_float(tmp_path, out):
    quantized(models.convolutional, tmp_path, out)
    assert float_operators(out) == ["QUANTIZE", "DEQUANTIZE"]


def float_operators(folder) -> list[str]:
    """Those that read or give float, in the order of the file."""
    graph = (model := schema.Model.GetRootAs(read_file(folder / "model.tflite"), 0)).Subgraphs(0)
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    operators = []
    for node in map(graph.Operators, range(graph.OperatorsLength())):
        ends = [*node.InputsAsNumpy(), *node.OutputsAsNumpy()]
        if any(graph.Tensors(end).Type() == schema.TensorType.FLOAT32 for end in ends if end >= 0):
            operators.append(names[model.OperatorCodes(node.OpcodeIndex()).BuiltinCode()])
    return operators


@pytest.mark.parametrize(("per_channel", "scales"), [(True, 16), (False, 1)])
def test_a_convolution_has_a_scale_for_each_channel_if_it_is_to(per_channel, scales, tmp_path, out):
    quantized(models.convolutional, tmp_path, out, per_channel=per_channel)
    details = start_interpreter(read_file(out / "model.tflite"), 1).get_tensor_details()
    [weights] = [item for item in details if item["dtype"] == np.int8 and tuple(item["shape"]) == (16, 3, 3, 3)]
    assert len(weights["quantization_parameters"]["scales"]) == scales


def test_integer_ends_answer_the_same_in_float(tmp_path, out):
    model = quantized(models.convolutional, tmp_path, out, input_type="int8", output_type="uint8")
    interpreter = start_interpreter(read_file(out / "model.tflite"), 1)
    [takes], [gives] = tensor_details(interpreter, "input"), tensor_details(interpreter, "output")
    assert (takes["dtype"], gives["dtype"]) == (np.int8, np.uint8)
    (tmp_path / "float").mkdir()
    quantize.run(tmp_path / "keras.fp32", tmp_path / "calibration", tmp_path / "float", **defaults())
    inputs = models.batch(model, 12, seed=1)
    np.testing.assert_allclose(load(out, 1)(inputs)[0], load(tmp_path / "float", 1)(inputs)[0], atol=1 / 256)


def test_int16_activations_are_closer_than_int8(tmp_path, out):
    model = quantized(models.one_dimension, tmp_path, out, activation="int16")
    (tmp_path / "int8").mkdir()
    quantize.run(tmp_path / "keras.fp32", tmp_path / "calibration", tmp_path / "int8", **defaults())
    inputs = models.batch(model, 12, seed=1)
    exact = models.answers(model, inputs)[0]
    finer, coarser = (np.abs(load(folder, 1)(inputs)[0] - exact).mean() for folder in (out, tmp_path / "int8"))
    assert finer < coarser


def test_an_operator_without_an_int16_form_is_named(tmp_path, out):
    def build() -> keras.Model:
        row = keras.Input((4,))
        return keras.Model(row, keras.ops.sin(row))

    with pytest.raises(
        Unsupported, match=r"^LiteRT's converter \(.*\) refuses: [^\n]* not yet supported for op: 'SIN'"
    ):
        quantized(build, tmp_path, out, activation="int16")


def test_types_that_do_not_go_together_are_refused(tmp_path, out):
    with pytest.raises(Unsupported, match="LiteRT's converter"):
        quantized(models.convolutional, tmp_path, out, input_type="int16")


def test_a_calibration_set_with_nan_is_refused_with_the_sample(tmp_path, out):
    model = models.save(models.sequential, tmp_path / "keras.fp32")
    calibration = models.samples(model, tmp_path / "calibration", 230)
    values = np.load(calibration / "input_0.npy")
    values[123, 2] = np.nan
    np.save(calibration / "input_0.npy", values)
    with pytest.raises(CrossquantError, match="calibration sample 123 has NaN"):
        quantize.run(tmp_path / "keras.fp32", calibration, out, **defaults())


def test_an_empty_calibration_set_is_refused(tmp_path, out):
    model = models.save(models.sequential, tmp_path / "keras.fp32")
    calibration = models.samples(model, tmp_path / "calibration", 0)
    with pytest.raises(CrossquantError, match=r"raise calibration\.images"):
        quantize.run(tmp_path / "keras.fp32", calibration, out, **defaults())


def test_weights_that_the_converter_leaves_in_float_are_counted(tmp_path, out):
    """It quantizes none of fewer than 1024 values, and says nothing."""
    models.save(models.sequential, tmp_path / "keras.fp32")
    with pytest.raises(Unsupported, match="quantized 0 of 2 convolutions and linear layers, without an error"):
        dynamic.run(tmp_path / "keras.fp32", out)


def test_a_float_file_counts_as_not_quantized(tmp_path, out):
    models.save(models.convolutional, tmp_path / "keras.fp32")
    convert.run(tmp_path / "keras.fp32", out)
    with pytest.raises(Unsupported, match="quantized 0 of 4"):
        quantized_operators.write_count(out)


@pytest.mark.parametrize(("recipe", "least", "share"), [(dynamic, 7, 0.35), (float16, 10, 0.6)])
def test_weights_alone_make_the_file_smaller_and_cost_next_to_nothing(
    recipe, least, share, resnet, cifar, out, tmp_path
):
    recipe.run(resnet, out)
    done, total = counts(out)
    assert (done >= least, total) == (True, 10)
    (tmp_path / "float").mkdir()
    convert.run(resnet, tmp_path / "float")
    sizes = [(folder / "model.tflite").stat().st_size for folder in (out, tmp_path / "float")]
    assert sizes[0] < share * sizes[1]
    assert abs(accuracy(out, cifar) - accuracy(tmp_path / "float", cifar)) < POINTS / 3


def test_the_reference_model_in_int8_is_nearly_as_accurate_in_a_third_of_the_space(resnet, cifar, out, tmp_path):
    quantize.run(resnet, cifar["calibration"], out, **defaults())
    assert counts(out) == (10, 10)
    assert (out / "model.tflite").stat().st_size < 105_000
    (tmp_path / "float").mkdir()
    convert.run(resnet, tmp_path / "float")
    exact = accuracy(tmp_path / "float", cifar)
    assert exact > 0.87
    assert abs(accuracy(out, cifar) - exact) < POINTS


def accuracy(variant, cifar) -> float:
    images = take(cifar["dataset"], slice(None))
    labels = np.load(cifar["dataset"] / "labels.npy")
    return float((load(variant, 1)(images)[0].argmax(axis=1) == labels).mean())


def test_no_recipe_quantizes_again_what_keras_has_quantized(tmp_path, out):
    model = models.save(models.convolutional, tmp_path / "keras.fp32")
    calibration = models.samples(model, tmp_path / "calibration")
    already.write(["int8 by Keras"], tmp_path / "keras.fp32")
    refused = pytest.raises(
        Unsupported, match=r"^the model is quantized already \(int8 by Keras\): give the float model"
    )
    with refused:
        quantize.run(tmp_path / "keras.fp32", calibration, out, **defaults())
    for stage in (dynamic, float16):
        with refused:
            stage.run(tmp_path / "keras.fp32", out)
    assert list(out.iterdir()) == []
