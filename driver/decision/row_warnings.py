"""What a reader must know of a row beside its figures, in a sentence each; the verdict says the same."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from driver.analysis import metric_specs, siblings
from driver.analysis.results import Emulated, Noise, Variant
from driver.decision import fidelity_rule
from driver.decision.judgements import LEAST_FACTOR, NO_VNNI, between, goodness, milliseconds, worse

TWIN = ", its float twin"
LEAST = float("-inf")  # of a row that has no figure


def add(
    rows: Sequence[Variant],
    noise: Sequence[Noise],
    refused: Mapping[str, Mapping[str, str]],
    whole: Mapping[str, str] | None = None,
    unit: str = "images",
    made: Mapping[str, Sequence[str]] | None = None,
    remedies: Mapping[str, Mapping[str, Any]] | None = None,
    rounding: Mapping[str, bool] | None = None,
) -> list[Variant]:
    """The rows with their remarks; `refused` has for a variant the CPUs that can't run it, and why, `whole` for one
    with layers in float the name of the one that has none, `made` what is to be told of how a variant was made,
    `remedies` settings with which a saturated one would answer alike on every CPU, `rounding` whether it rounds all to
    8 bits (driver/analysis/siblings.py).
    """
    by_name = {row.name: row for row in rows}
    far = siblings.remarks(rows, rounding or {})
    found = []
    for row in rows:
        said = of(row, by_name.get(f"{row.image}.fp32"), noise, refused.get(row.name, {}), unit)
        base = by_name.get((whole or {}).get(row.name, ""))
        odd = () if row.saturated else far.get(row.name, ())  # what saturates is told why it is far from float
        own = (*odd, *(made or {}).get(row.name, ()))
        here = saturated(row, rows, (remedies or {}).get(row.name, {}))
        found.append(replace(row, remarks=(*own, *here, *said, *([cost(row, base)] if base else []))))
    return found


def saturated(row: Variant, rows: Sequence[Variant], remedy: Mapping[str, Any]) -> list[str]:
    """Of a row that is worse than the reference, as far as that is known: why, and what to take instead."""
    if not row.saturated or not (worse(row) or unjudged(row)):
        return []
    fact = f"run on a CPU ({NO_VNNI}) where products of uint8 and int8 can saturate"
    settings = ", ".join(f"{key}: {str(value).lower()}" for key, value in remedy.items())
    alike = [item for item in rows if item.image == row.image and item.cpu_invariant and item.status == "ok"]
    better = [item for item in alike if goodness(item, LEAST) > goodness(row, LEAST)]
    if better:  # the one that the verdict would name for other CPUs
        instead = min(better, key=lambda item: (worse(item), milliseconds(item)))
        return [f"{fact}: take {instead.name}, which answers alike on every CPU"]
    return [f"{fact}: a recipe with {settings} answers alike on every CPU" if settings else fact]


def unjudged(row: Variant) -> bool:
    """Without labels, is nothing known of the row but how near it is to the reference?"""
    return row.headline is not None and row.headline.name in fidelity_rule.FIGURES


def cost(row: Variant, whole: Variant) -> str:
    """What the layers in float cost, against the same recipe with none."""
    parts = []
    if row.headline is not None and whole.headline is not None:
        parts.append(between(row, whole))
    if row.size_bytes and whole.size_bytes:
        parts.append(f"{row.size_bytes / whole.size_bytes:.2f} times its size")
    if row.latency_ms and whole.latency_ms:
        parts.append(f"{row.latency_ms.p50 / whole.latency_ms.p50:.2f} times its latency")
    return f"against {whole.name}, which has none in float: {', '.join(parts)}"


def of(row: Variant, twin: Variant | None, noise: Sequence[Noise], refused: Mapping[str, str], unit: str) -> list[str]:
    found = []
    if row.quantized and twin is not None and (sentence := slower(row, twin, noise)):
        found.append(sentence)
    if row.in_float:
        found.append(f"{len(row.in_float)} of its layers stayed in float: {', '.join(row.in_float)}")
    if row.limit_held is False:
        found.append("no choice of layers held max_drop_pp within the trials: this is the best that there was")
    found += [there(run, row, unit) for run in row.emulated if run.loses]
    return found + [f"can't run on {cpu}: {reason}" for cpu, reason in refused.items()]


def slower(row: Variant, twin: Variant, noise: Sequence[Noise]) -> str:
    """Is the quantized file slower than the float one of its framework, beyond the noise?"""
    if row.latency_ms is None or twin.latency_ms is None:
        return ""
    factor = row.latency_ms.p50 / twin.latency_ms.p50
    floor = max((item.share for item in noise if item.image == row.image), default=0.0)
    return f"{factor:.1f}× slower than {twin.name}{TWIN}" if factor > 1 + max(floor, LEAST_FACTOR) else ""


def there(run: Emulated, row: Variant, unit: str) -> str:
    figures = [metric_specs.short(row.headline, value) for value in (run.accuracy, run.here)]
    same = "" if run.agreement is None else f" (same answer on {100 * run.agreement:.1f} %)"
    return f"{figures[0]} on {run.cpu}, {figures[1]} here, on the same {run.images:,} {unit}{same}"
