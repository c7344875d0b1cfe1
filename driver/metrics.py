"""Figures from raw evidence: the same code for every framework."""

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Latency:
    """Of one call at batch 1 on one thread; p50 and p90 in milliseconds."""

    p50: float
    p90: float
    samples: int


def figures(
    answers: NDArray[np.float32],
    labels: NDArray[np.uint8],
    reference: NDArray[np.float32] | None,
) -> dict[str, Any]:
    """Accuracy, and against the reference the difference, the agreement and the largest difference of a probability."""
    top = answers.argmax(axis=1)
    accuracy = float((top == labels).mean())
    if reference is None:
        return {"accuracy": accuracy}
    top_reference = reference.argmax(axis=1)
    difference = accuracy - float((top_reference == labels).mean())
    return {
        "accuracy": accuracy,
        "delta_pp": round(100 * difference, 6),
        "agreement": float((top == top_reference).mean()),
        "max_abs_diff": float(np.abs(answers - reference).max()),
    }


def timing(raw: dict[str, Any]) -> dict[str, Any]:
    """From `shared.timing.Samples`: latency over all rounds, throughput from the median call."""
    single = [1000 * seconds for calls in raw["latency"] for seconds in calls]
    many = [seconds for calls in raw["throughput"] for seconds in calls]
    p50, p90 = (float(value) for value in np.percentile(single, (50, 90)))
    rate = raw["batch_size"] / statistics.median(many)
    return {"latency_ms": Latency(p50, p90, len(single)), "images_per_second": rate}
