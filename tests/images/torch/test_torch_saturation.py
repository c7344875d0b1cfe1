"""What stages.toml declares to saturate does so on a CPU with AVX2 and no VNNI, and there alone; the rest nowhere.

The model is a product whose pairs of products don't fit in 16 bits: weights and inputs are as large as they can be.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest

from driver.catalog import declarations
from driver.experiment import recipes
from images.torch import pt2e, quantize
from shared.measure.instructions import this_cpu
from tests.images import models
from tests.images.torch.stages import answers, defaults

BRIGHT = np.full((3, *models.SHAPE), 255, np.float32)
EXACT = np.array([192, -192, 172.8, -172.8])
STAGES = {stage.run: stage for stage in declarations.load()["torch"] if stage.takes_recipe}
BACKENDS, REDUCED = (STAGES["quantize"].options[name].values for name in ("backend", "reduce_range"))


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """192 inputs from 0 to 1, by weights of 1, -1 and in between; some of the images to calibrate with are white."""
    graph = models.Graph()
    graph.add("Flatten")
    weights = np.ones((192, 4), np.float32) * np.array([1, -1, 0.9, -0.9], np.float32)
    graph.add("Gemm", graph.given(weights), graph.given(np.zeros(4, np.float32)))
    images = models.images(120)
    images[::10] = 255
    folder = graph.save(tmp_path / "product", ("batch", 4))
    np.save(folder / "input_0.npy", images)
    return folder


def wrong(variant: Path) -> bool:
    """Is the product of white images off by more than 8 bits round off?"""
    return bool(np.abs(answers(variant, BRIGHT) - EXACT).max() > 20)


@pytest.mark.parametrize(("backend", "reduce_range"), itertools.product(BACKENDS, REDUCED))
def test_a_recipe_of_fx_saturates_as_it_is_declared(product: Path, out: Path, backend: str, reduce_range: str):
    recipe = {"backend": backend, "reduce_range": reduce_range}
    quantize.run(product, product, out, **{**defaults("quantize"), **recipe, "observer": "minmax"})
    assert wrong(out) is (recipes.saturates(STAGES["quantize"], recipe) and this_cpu().saturates)


@pytest.mark.parametrize(("form", "reduce_range"), itertools.product(["exported", "aot"], ["default", "always"]))
def test_a_recipe_of_pt2e_saturates_as_it_is_declared(product: Path, out: Path, form: str, reduce_range: str):
    recipe = {"form": form, "reduce_range": reduce_range}
    pt2e.run(product, product, out, **{**defaults("pt2e"), **recipe})
    assert wrong(out) is (recipes.saturates(STAGES["pt2e"], recipe) and this_cpu().saturates)
