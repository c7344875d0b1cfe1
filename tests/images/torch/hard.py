"""Models that quantization breaks, with the float model's answers as labels: its accuracy is 100%."""

from pathlib import Path

import numpy as np
import torch

from images.torch import convert
from tests.images import models
from tests.images.sample_folders import save_samples

LARGE = 600.0


def uneven(folder: Path) -> Path:
    """A convolution with a channel of weights so large that one scale for all leaves nothing of the others."""
    graph = models.Graph()
    weight = graph.random.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32)
    weight[0] *= LARGE
    after = graph.random.normal(0, 0.3, (8, 8, 3, 3)).astype(np.float32)
    after[:, 0] = 0
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.add("Conv", graph.given(weight), graph.given(np.zeros(8, np.float32)), pads=[1, 1, 1, 1])
    graph.add("Mul", graph.given(np.array([1 / LARGE, *[1] * 7], np.float32).reshape(1, 8, 1, 1)))
    graph.add("Conv", graph.given(after), graph.weight(8))
    graph.add("Relu")
    graph.add("Flatten")
    graph.add("Gemm", graph.weight(288, 10), graph.given(np.zeros(10, np.float32)))
    graph.add("Softmax")
    return graph.save(folder)


def normalized(folder: Path) -> Path:
    """Dense layers with BatchNormalization after ReLU, which no folding takes away: Mul and Add of unlike constants."""
    graph = models.Graph()
    graph.add("Flatten")
    scale = np.ones(64, np.float32)
    scale[:4] = LARGE
    after = graph.random.normal(0, 0.3, (64, 10)).astype(np.float32)
    after[:4] = 0
    graph.dense(192, 64)
    graph.add("Relu")
    graph.add("Mul", graph.given(scale))
    graph.add("Add", graph.given(np.full(64, -0.1, np.float32)))
    graph.add("Gemm", graph.given(after), graph.given(np.zeros(10, np.float32)))
    graph.add("Softmax")
    return graph.save(folder)


def images(model: Path, folder: Path, seed: int, count: int) -> Path:
    """An artifact with images of any colors, and the labels that the float `model` gives them most surely."""
    samples = np.random.default_rng(seed).integers(0, 256, (5 * count, *models.SHAPE)).astype(np.uint8)
    with torch.no_grad():
        answers = convert.to_module(model)(torch.from_numpy(samples.astype(np.float32)))
    best = answers.topk(2, dim=1).values
    surest = (best[:, 0] - best[:, 1]).argsort(descending=True)[:count].sort().values
    samples, answers = samples[surest.numpy()], answers[surest]
    if folder.name == "calibration":
        samples = samples.astype(np.float32)
    return save_samples(folder, samples, labels=answers.argmax(dim=1).numpy().astype(np.uint8))
