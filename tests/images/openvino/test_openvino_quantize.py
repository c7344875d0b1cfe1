"""NNCF's quantizer: OpenVINO runs what the recipe asks for."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from driver.catalog import declarations
from driver.experiment import recipes
from images.openvino import accuracy_aware, coverage
from images.openvino.session import FILE, ONNX_FILE, WEIGHTS, check_compiles, load, read_model
from shared.errors import CrossquantError, Unsupported
from shared.measure.instructions import this_cpu
from shared.quantization import already
from tests.images.openvino.stages import compressed, defaults, quantized, read_inputs, read_outputs

RECIPES = {
    "performance": {},
    "mixed": {"preset": "mixed"},
    "minmax": {"preset": "mixed", "calibrate": "minmax"},
    "histogram": {"calibrate": "histogram"},
    "half": {"overflow_fix": "enable"},
    "transformer": {"model_type": "transformer", "smooth_quant": True},
    "slow": {"fast_bias_correction": False},
}
EXACT = {"overflow_fix": "enable"} if this_cpu().saturates else {}  # for tests of something else than saturation


def integer(variant: Path) -> set[str]:
    return coverage.integer_layers(check_compiles(read_model(variant / FILE)))


def weights_of(variant: Path) -> dict[str, np.ndarray]:
    constants = [op for op in read_model(variant / FILE).get_ops() if op.get_type_name() == "Constant"]
    return {op.get_friendly_name(): op.data for op in constants if op.data.dtype == np.int8}


@pytest.mark.parametrize("name", RECIPES)
def test_all_operators_run_on_integers_and_answer_nearly_as_in_float(
    name: str, models: Path, calibration: Path, out: Path
):
    quantized(models / "convolutional", calibration, out, **RECIPES[name])
    assert json.loads((out / "quantized.json").read_text()) == {"quantized": 3, "operators": 3}
    assert sorted(path.name for path in out.iterdir()) == [WEIGHTS, FILE, "quantized.json"]
    [answers], [expected] = load(out, 1)(read_inputs(models / "convolutional")), read_outputs(models / "convolutional")
    assert 0 < np.abs(answers - expected).max() < 0.05


def test_a_number_that_is_added_to_a_convolution_is_no_bias(models: Path, calibration: Path, out: Path):
    """NNCF's bias correction fails at it, in the hard swish of a MobileNetV3 for one."""
    quantized(models / "hard_swish", calibration, out, **EXACT)
    [answers], [expected] = load(out, 1)(read_inputs(models / "hard_swish")), read_outputs(models / "hard_swish")
    assert 0 < np.abs(answers - expected).max() < 0.02 * np.ptp(expected)


@pytest.mark.parametrize("overflow_fix", ["disable", "first_layer_only", "enable"])
def test_it_saturates_as_it_is_declared(overflow_fix: str, models: Path, calibration: Path, out: Path):
    """On a CPU with AVX2 and no VNNI an answer is off by a sixth of the range, unless weights have 7 bits."""
    quantized(models / "hard_swish", calibration, out, preset="performance", overflow_fix=overflow_fix)
    [answers], [expected] = load(out, 1)(read_inputs(models / "hard_swish")), read_outputs(models / "hard_swish")
    stage = next(stage for stage in declarations.load(["openvino"])["openvino"] if stage.run == "quantize")
    saturates = recipes.saturates(stage, {"overflow_fix": overflow_fix}) and this_cpu().saturates
    assert bool(np.abs(answers - expected).max() > 0.05 * np.ptp(expected)) is saturates


@pytest.mark.parametrize("preset", ["performance", "mixed"])
def test_a_recurrent_layer_stays_in_float(preset: str, models: Path, calibration: Path, out: Path):
    """OpenVINO refuses it in 8 bits, or answers wrongly."""
    quantized(models / "recurrent", calibration, out, preset=preset, **EXACT)
    [answers], [expected] = load(out, 1)(read_inputs(models / "recurrent")), read_outputs(models / "recurrent")
    assert 0 < np.abs(answers - expected).max() < 0.02 * np.ptp(expected)


def test_two_inputs_are_calibrated_in_their_order(models: Path, out: Path):
    """One of them is uint8; `about.json` says so."""
    quantized(models / "two", models / "two", out)
    for answers, expected in zip(load(out, 1)(read_inputs(models / "two")), read_outputs(models / "two"), strict=True):
        assert 0 < np.abs(answers - expected).max() < 0.02 * np.ptp(expected)


def test_quantizing_twice_gives_the_same_bytes(models: Path, calibration: Path, tmp_path: Path):
    contents = []
    for turn in ("first", "second"):
        (tmp_path / turn).mkdir()
        quantized(models / "convolutional", calibration, tmp_path / turn)
        contents.append([(tmp_path / turn / name).read_bytes() for name in (FILE, WEIGHTS)])
    assert contents[0] == contents[1]


def test_the_ranges_come_from_all_calibration_samples(models: Path, calibration: Path, tmp_path: Path):
    """The brightest pixel is in the last of more images than NNCF takes by itself, 300."""
    images = np.concatenate([np.load(calibration / "input_0.npy") / 2] * 6)
    limits = []
    for turn in ("dark", "bright"):
        (tmp_path / turn).mkdir()
        np.save(calibration / "input_0.npy", images)
        quantized(models / "convolutional", calibration, tmp_path / turn, preset="mixed", calibrate="minmax")
        fakes = [
            op for op in read_model(tmp_path / turn / FILE).get_ordered_ops() if op.get_type_name() == "FakeQuantize"
        ]
        limits.append(float(fakes[0].input_value(2).get_node().data.max()))
        images[-1, 0, 0, 0] = 510
    assert limits[0] < 128 / 255
    assert limits[1] == pytest.approx(510 / 255)


def test_half_the_range_is_left_to_weights_that_may_not_overflow(models: Path, calibration: Path, tmp_path: Path):
    """What `safe` in stages.toml says: two products of 8 and 7 bits fit in 16."""
    largest = {}
    for overflow_fix in ("disable", "enable"):
        (tmp_path / overflow_fix).mkdir()
        quantized(models / "convolutional", calibration, tmp_path / overflow_fix, overflow_fix=overflow_fix)
        largest[overflow_fix] = max(
            np.abs(data.astype(int)).max() for data in weights_of(tmp_path / overflow_fix).values()
        )
    assert largest["disable"] > 64 >= largest["enable"]


def test_layers_are_left_in_float_by_the_names_of_the_onnx_file(models: Path, calibration: Path, tmp_path: Path):
    (tmp_path / "all").mkdir()
    (tmp_path / "some").mkdir()
    whole = integer(quantized(models / "convolutional", calibration, tmp_path / "all"))
    some = integer(quantized(models / "convolutional", calibration, tmp_path / "some", exclude=["Conv_6"]))
    assert {"Conv_2", "Conv_6", "Gemm_12"} <= whole
    assert "Conv_6" not in some
    assert json.loads((tmp_path / "some" / "quantized.json").read_text()) == {"quantized": 2, "operators": 3}


def test_too_many_left_in_float_is_unsupported(models: Path, calibration: Path, out: Path):
    with pytest.raises(Unsupported, match=r"^NNCF quantized 1 of 3 convolutions and linear layers, without an error$"):
        quantized(models / "convolutional", calibration, out, exclude_types=["Convolution"])
    assert not (out / "quantized.json").exists()


def test_a_model_without_anything_to_quantize_is_unsupported(models: Path, calibration: Path, out: Path):
    with pytest.raises(Unsupported, match=r"^NNCF quantized 0 of 0 convolutions"):
        quantized(models / "nothing", calibration, out)


def test_the_count_of_a_float_model_is_none_of_all(models: Path):
    assert coverage.count_quantized(check_compiles(read_model(models / "convolutional" / ONNX_FILE))) == (0, 3)


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        ({"exclude": ["Conv_66"]}, "exclude: this model has no layer 'Conv_66'; did you mean Conv_6"),
        (
            {"exclude_types": ["Convolutoin"]},
            "exclude_types: this model has no op type 'Convolutoin'; did you mean Conv",
        ),
        ({"smooth_quant": True}, "smooth_quant: NNCF smooths transformers only: add model_type: transformer"),
    ],
)
def test_a_recipe_that_would_be_obeyed_in_silence_is_an_error(
    recipe: dict, text: str, models: Path, calibration: Path, out: Path
):
    with pytest.raises(CrossquantError) as caught:
        quantized(models / "convolutional", calibration, out, **recipe)
    assert str(caught.value).startswith(text)


def test_a_type_that_this_model_happens_not_to_have_is_none(models: Path, calibration: Path, out: Path):
    quantized(models / "convolutional", calibration, out, exclude_types=["LSTMSequence", "Softmax"])
    assert (out / FILE).exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_sample_that_is_not_finite_is_named(bad: float, models: Path, calibration: Path, out: Path):
    images = np.load(calibration / "input_0.npy")
    images[41, 0, 0, 0] = bad
    np.save(calibration / "input_0.npy", images)
    with pytest.raises(CrossquantError, match=r"^calibration sample 41 has NaN or infinity: "):
        quantized(models / "convolutional", calibration, out)


def test_a_model_of_a_fixed_batch_is_not_quantized(models: Path, calibration: Path, out: Path):
    with pytest.raises(Unsupported, match=r"^the model takes batches of 4 alone, which can't be calibrated: "):
        quantized(models / "by_place", calibration, out)


def test_an_empty_set_is_an_error(models: Path, calibration: Path, out: Path):
    np.save(calibration / "input_0.npy", np.load(calibration / "input_0.npy")[:0])
    with pytest.raises(CrossquantError, match=r"^the calibration set is empty: raise calibration\.images$"):
        quantized(models / "convolutional", calibration, out)


@pytest.mark.parametrize("mode", ["int8_asym", "int8_sym"])
def test_weights_alone(mode: str, models: Path, out: Path):
    compressed(models / "convolutional", out, mode=mode)
    assert json.loads((out / "quantized.json").read_text()) == {"quantized": 3, "operators": 3}
    [answers], [expected] = load(out, 1)(read_inputs(models / "convolutional")), read_outputs(models / "convolutional")
    assert 0 < np.abs(answers - expected).max() < 0.01


def test_weights_that_stay_in_float_are_counted(models: Path, out: Path):
    with pytest.raises(Unsupported, match=r"^NNCF quantized 1 of 3 convolutions"):
        compressed(models / "convolutional", out, exclude_types=["Convolution"])


def test_no_recipe_quantizes_again_what_is_quantized_already(
    models: Path, calibration: Path, tmp_path: Path, out: Path
):
    shutil.copytree(models / "convolutional", tmp_path / "quantized")
    already.write(["QuantizeLinear"], tmp_path / "quantized")
    refused = pytest.raises(
        Unsupported, match=r"^the model is quantized already \(QuantizeLinear\): give the float model"
    )
    with refused:
        quantized(tmp_path / "quantized", calibration, out)
    with refused:
        compressed(tmp_path / "quantized", out)
    with refused:
        settings = defaults("accuracy_aware")
        accuracy_aware.run(tmp_path / "quantized", calibration, calibration, out, **settings)
