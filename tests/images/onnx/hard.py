"""Models that 8 bits break, and a task on which their float files are good: which of ten seeded patterns is shown?"""

from pathlib import Path

import numpy as np

from tests.images.models import SHAPE, Graph
from tests.images.sample_folders import save_samples

CLASSES = 10
NOISE = 100.0  # of a pixel; the float models are right nine times in ten
RANDOM = np.random.default_rng(7)
PATTERNS = RANDOM.integers(60, 196, (CLASSES, *SHAPE)).astype(np.float32)


def task(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images (count, *SHAPE) and their labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count).astype(np.uint8)
    noisy = PATTERNS[labels] + random.normal(0, NOISE, (count, *SHAPE))
    return np.clip(noisy, 0, 255).astype(np.uint8), labels


def folder(path: Path, count: int, seed: int, kind: type) -> Path:
    """Write an artifact of images and labels, without a manifest."""
    images, labels = task(count, seed)
    return save_samples(path, images.astype(kind), labels=labels)


def detectors() -> np.ndarray:
    """Return (pixels, CLASSES): how similar a flat image is to each pattern, for pixels from 0 to 1."""
    flat = PATTERNS.reshape(CLASSES, -1)
    return (flat - flat.mean(axis=0)).T.astype(np.float32) / 255


def start() -> Graph:
    """Four convolutions that pass the image on, so that there are quantizable layers besides the hard one; then a
    Flatten.
    """
    graph = Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    for _ in range(4):
        graph.add("Conv", graph.given(np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)))
    graph.add("Transpose", perm=[0, 2, 3, 1])
    graph.add("Flatten")
    return graph


def outlier(path: Path, factor: float = 1000.0) -> Path:
    """One channel of a layer is `factor` times as large as the others, which the next layer undoes."""
    graph, up = start(), np.ones(CLASSES, np.float32)
    up[0] = factor
    graph.add("Gemm", graph.given(detectors() * up), graph.given(40 * up))
    graph.add("Relu")
    graph.add("Gemm", graph.given(np.diag(1 / up)), graph.given(np.zeros(CLASSES, np.float32)))
    graph.add("Softmax")
    return graph.save(path)


def normalized(path: Path) -> Path:
    """BatchNormalization after a Relu, as Mul and Add: units that are always 0 have a huge factor."""
    graph = start()
    weights = np.concatenate([detectors(), np.zeros_like(detectors())], axis=1)
    graph.add("Gemm", graph.given(weights), graph.given(np.repeat([40, -1], CLASSES).astype(np.float32)))
    graph.add("Relu")
    graph.add("Mul", graph.given(np.repeat([0.8, 900], CLASSES).astype(np.float32)))
    graph.add("Add", graph.given(np.zeros(2 * CLASSES, np.float32)))
    graph.add("Gemm", graph.given(np.tile(np.eye(CLASSES, dtype=np.float32), (2, 1))))
    graph.add("Softmax")
    return graph.save(path)
