"""What the benchmarks compute: the work of both chains, what counts as the same answers, who answers a peer's row."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import chains, peer_table, small, speed
from benchmarks.chains import Compared, Setting
from benchmarks.peer_material import Row
from benchmarks.peer_measure import REFERENCE, Figures, Measured
from driver.catalog import declarations
from driver.experiment import loader
from driver.experiment.model import Experiment
from driver.inputs import cifar10
from shared.command import DEFAULT_EXPERIMENT
from shared.errors import CrossquantError
from shared.measure.machine import Machine


@pytest.fixture
def default() -> Experiment:
    return loader.load(loader.find(DEFAULT_EXPERIMENT), declarations.load())


def test_the_scripts_are_told_every_recipe_of_the_experiment(default: Experiment) -> None:
    work = chains.work(chains.planned(default))
    assert {image: set(names) for image, names in work["recipes"].items()} == {
        image: set(names) for image, names in default.recipes.items()
    }
    for image, recipes in default.recipes.items():
        for name, settings in recipes.items():
            assert settings.items() <= work["recipes"][image][name].items()
    assert work["calibration"] == {"images": 1000, "seed": 0}


@pytest.mark.parametrize(
    ("image", "settings", "stage"),
    [
        ("onnx", {"method": "float16"}, "float16"),
        ("onnx", {"method": "dynamic"}, "dynamic"),
        ("torch", {"method": "pt2e"}, "pt2e"),
        ("onnx", {"exclude": "auto"}, "accuracy_aware"),
    ],
)
def test_a_recipe_of_another_method_is_named(default: Experiment, image: str, settings: dict, stage: str) -> None:
    other = replace(default, recipes=default.recipes | {image: {"other": settings}})
    with pytest.raises(CrossquantError, match=rf"every row: {image}\.other is made by '{stage}'"):
        chains.work(chains.planned(other))


@pytest.mark.parametrize("change", [{"draws": 2}, {"split": "selection"}, {"recipes": {"onnx": {}}}])
def test_an_experiment_that_the_scripts_do_not_make_is_refused(
    default: Experiment, change: dict, tmp_path: Path
) -> None:
    with pytest.raises(CrossquantError, match=r"'resnet8-cifar10'"):
        chains.check(replace(default, **change), ("venv",), tmp_path)


def test_inputs_that_are_not_there_are_named_with_the_command(default: Experiment, tmp_path: Path) -> None:
    with pytest.raises(CrossquantError, match=r"crossquant fetch --experiment resnet8-cifar10"):
        chains.check(default, ("venv",), tmp_path)


@pytest.fixture
def setting(default: Experiment, tmp_path: Path) -> Setting:
    """Both chains have answered as float variants do, the same."""
    venv_setting = Setting("venv", tmp_path / "x.yaml", default, tmp_path / "volumes", tmp_path / "bare")
    venv_setting.bare.mkdir()
    for name in ("keras.fp32", "onnx.u8s8", "torch.x86"):
        answer(venv_setting, name, ours=np.eye(10, dtype=np.float32), theirs=np.eye(10, dtype=np.float32))
    return venv_setting


def answer(setting: Setting, name: str, ours: np.ndarray | None = None, theirs: np.ndarray | None = None) -> None:
    if ours is not None:
        folder = setting.folder / name.partition(".")[0] / f"predictions.{name}"
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "output_0.npy", ours)
    if theirs is not None:
        np.save(setting.bare / f"predictions.{name}.npy", theirs)


def test_the_same_answers_are_equal(setting: Setting) -> None:
    rows = chains.compared(setting)
    assert {row.name: row.exact for row in rows} == {"keras.fp32": True, "onnx.u8s8": False, "torch.x86": True}
    assert all(row.good and speed.verdict(row) == "equal" for row in rows)


@pytest.mark.parametrize("name", ["keras.fp32", "torch.x86"])
def test_a_last_bit_is_wrong_where_answers_must_be_equal(setting: Setting, name: str) -> None:
    answer(setting, name, theirs=np.eye(10, dtype=np.float32) * np.float32(1 - 1e-7))
    [row] = [row for row in chains.compared(setting) if not row.good]
    assert (row.name, row.changed) == (name, 0)
    assert speed.verdict(row).startswith("**wrong**: 0 of 10 have another top-1, probabilities differ by up to 1.")


@pytest.mark.parametrize(("changed", "good"), [(0, True), (10, True), (11, False), (1000, False)])
def test_what_onnx_runtime_quantizes_is_held_to_the_top_1(changed: int, good: bool) -> None:
    assert Compared("onnx.u8s8", False, 1000, changed, 0.1).good is good


def test_a_row_that_one_chain_alone_makes_is_named_with_the_chain(setting: Setting) -> None:
    answer(setting, "onnx.new", ours=np.eye(10, dtype=np.float32))
    with pytest.raises(CrossquantError, match=r"only the driver made predictions\.onnx\.new"):
        chains.compared(setting)
    answer(setting, "torch.more", theirs=np.eye(10, dtype=np.float32))
    answer(setting, "onnx.new", theirs=np.eye(10, dtype=np.float32))
    with pytest.raises(CrossquantError, match=r"only the bare scripts made predictions\.torch\.more"):
        chains.compared(setting)


def test_answers_to_another_number_of_images_are_an_error(setting: Setting) -> None:
    answer(setting, "torch.x86", theirs=np.eye(9, 10, dtype=np.float32))
    with pytest.raises(CrossquantError, match=r"torch\.x86: the driver answers \(10, 10\), the bare scripts \(9, 10\)"):
        chains.compared(setting)


def test_the_small_data_set_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    arrays = small.data()
    small.archive(arrays, tmp_path / "small.tar.gz")
    decoded = cifar10.decode(tmp_path / "small.tar.gz")
    assert {name: array.shape for name, array in decoded.items()} == {
        name: array.shape for name, array in arrays.items()
    }
    assert all(np.array_equal(decoded[name], array) for name, array in arrays.items())


def test_a_recipe_that_the_default_experiment_has_lost_is_named(default: Experiment) -> None:
    assert small.of(default, speed.SMALL)["onnx"].keys() == {speed.SMALL["onnx"]}
    with pytest.raises(CrossquantError, match=r"no recipe onnx\.gone"):
        small.of(default, {"onnx": "gone"})


def figures(accuracy: float, seconds: float) -> Figures:
    return Figures(accuracy, 0, 1, (seconds, seconds))


def test_a_peers_row_is_answered_by_the_fastest_of_ours_that_is_as_accurate() -> None:
    rows = [Row(name, name, "1", "") for name in (REFERENCE, "onnx.slow", "onnx.fast", "onnx.poor", "peer.a", "peer.b")]
    times = [(0.9, 2.0), (0.9, 1.2), (0.88, 1.0), (0.7, 0.5), (0.87, 1.0), (0.95, 1.0)]
    row_figures = {row.name: figures(*pair) for row, pair in zip(rows, times, strict=True)}
    measured = Measured(row_figures, 0.0, Machine(0.0, 1.0, 0.0, 0.0, 0.0, 0.0))
    best = peer_table.answer(rows[4], rows[:4], measured)
    assert best is not None and best.name == "onnx.fast"
    assert peer_table.answer(rows[5], rows[:4], measured) is None
