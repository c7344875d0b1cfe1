"""What a reader must know of a row beside its metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from driver.analysis import siblings
from driver.analysis.facts import (
    CannotRun,
    ConversionNote,
    CostOfFloatLayers,
    LayersInFloat,
    LimitNotHeld,
    MoreThreadsSlower,
    RowWarning,
    SaturatingProducts,
    SlowerThanFloat,
    WorseOnCpu,
)
from driver.analysis.results import Emulated, Noise, Variant
from driver.decision.criteria import LEAST_FACTOR, difference_between, goodness, is_shown, is_worse, milliseconds
from driver.experiment.task_specs import FIDELITY

LEAST = float("-inf")  # of a row that has no metric


def add_warnings(
    rows: Sequence[Variant],
    noise: Sequence[Noise],
    refused: Mapping[str, Mapping[str, str]],
    whole: Mapping[str, str] | None = None,
    notes: Mapping[str, Sequence[ConversionNote]] | None = None,
    remedies: Mapping[str, Mapping[str, Any]] | None = None,
    rounding: Mapping[str, bool] | None = None,
    busy: bool = False,
) -> list[Variant]:
    """The rows with their warnings and conversion notes.

    `refused` has for a variant the CPUs that can't run it, and why; `whole` for one with layers in float the name of
    the one that has none; `notes` how a variant was made; `remedies` settings with which a saturated one would answer
    alike on every CPU; `rounding` whether a variant rounds all to 8 bits (driver/analysis/siblings.py); `busy` whether
    other processes took part of the cores from the timings.
    """
    by_name = {row.name: row for row in rows}
    far = siblings.find_far_rows(rows, rounding or {})
    warned = []
    for row in rows:
        base = by_name.get((whole or {}).get(row.name, ""))
        warnings: list[RowWarning] = [
            # A saturated row has a warning that says why it is far from float.
            *(() if row.saturated else far.get(row.name, ())),
            *warn_of_saturation(row, rows, (remedies or {}).get(row.name, {})),
            *list_own_warnings(row, by_name.get(f"{row.image}.fp32"), noise, refused.get(row.name, {})),
            *([compute_cost_of_float_layers(row, base)] if base else []),
            *([] if busy else find_slow_threads(row)),
        ]
        own_notes = tuple((notes or {}).get(row.name, ()))
        warned.append(replace(row, warnings=tuple(warnings), conversion_notes=own_notes))
    return warned


def warn_of_saturation(row: Variant, rows: Sequence[Variant], remedy: Mapping[str, Any]) -> list[SaturatingProducts]:
    """Of a row that is worse than the reference, as far as that is known: why, and what to take instead."""
    if not row.saturated or not (is_worse(row) or has_fidelity_alone(row)):
        return []
    alike = [item for item in rows if item.image == row.image and item.cpu_invariant and item.status == "ok"]
    better = [item for item in alike if goodness(item, LEAST) > goodness(row, LEAST)]
    if better:  # the one that the decision would name for other CPUs
        instead = min(better, key=lambda item: (not is_shown(item), milliseconds(item)))
        return [SaturatingProducts(instead.name, {})]
    return [SaturatingProducts("", dict(remedy))]


def has_fidelity_alone(row: Variant) -> bool:
    """Without labels, is nothing known of the row but how near it is to the reference?"""
    return row.headline is not None and row.headline.name in FIDELITY


def compute_cost_of_float_layers(row: Variant, whole: Variant) -> CostOfFloatLayers:
    """What the layers in float cost, against the same recipe with none."""
    size = row.size_bytes / whole.size_bytes if row.size_bytes and whole.size_bytes else None
    latency = row.latency_ms.p50 / whole.latency_ms.p50 if row.latency_ms and whole.latency_ms else None
    return CostOfFloatLayers(whole.name, difference_between(row, whole), size, latency)


def list_own_warnings(
    row: Variant, baseline: Variant | None, noise: Sequence[Noise], refused: Mapping[str, str]
) -> list[RowWarning]:
    """`baseline` is the float variant of the row's framework."""
    warnings: list[RowWarning] = []
    if row.quantized and baseline is not None and (slower := warn_of_slowness(row, baseline, noise)):
        warnings.append(slower)
    if row.in_float:
        warnings.append(LayersInFloat(row.in_float))
    if row.limit_held is False:
        warnings.append(LimitNotHeld())
    warnings += [warn_of_cpu(run, row) for run in row.emulated if run.loses]
    return warnings + [CannotRun(cpu, reason) for cpu, reason in refused.items()]


def warn_of_slowness(row: Variant, baseline: Variant, noise: Sequence[Noise]) -> SlowerThanFloat | None:
    """Is the quantized file slower than the float one of its framework, beyond the noise?"""
    if row.latency_ms is None or baseline.latency_ms is None:
        return None
    factor = row.latency_ms.p50 / baseline.latency_ms.p50
    floor = max((item.share for item in noise if item.image == row.image), default=0.0)
    return SlowerThanFloat(baseline.name, factor) if factor > 1 + max(floor, LEAST_FACTOR) else None


def find_slow_threads(row: Variant) -> list[MoreThreadsSlower]:
    from driver.analysis import speed  # noqa: PLC0415 - SciPy takes half a second: showing needs none

    return list(speed.find_slow_threads(row.timings))


def warn_of_cpu(run: Emulated, row: Variant) -> WorseOnCpu:
    metric = row.headline.name if row.headline else "accuracy"
    return WorseOnCpu(run.cpu, metric, run.value, run.here, run.images, run.agreement)
