"""What the page's tables hold: groups, choices and sentences made of a comparison's numbers."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from driver.analysis import metric_specs
from driver.analysis.facts import FormatConversion, MetricValue, Quantization
from driver.analysis.results import SIGNIFICANT, Comparison, ConversionStep, Gate, Timing, Variant
from driver.report import gate_format, phrases

MOST_CLASSES = 24  # of a table of confusion
COMMIT = 10  # digits of a commit that are shown
KEPT_DB = 80.0  # from which on the difference is what float32 rounds
PICTURES, PICTURES_EACH = 160, (4, 24)  # in all, and of one variant: least and most
class_name = phrases.class_name


def count_thumbnails(variants: int, is_shipped: bool) -> int:
    """Of one of so many variants: few enough that forty variants make a page of less than two megabytes."""
    least, most = PICTURES_EACH
    return most if is_shipped else max(least, min(most, PICTURES // max(variants, 1)))


def has_metrics(row: Variant) -> bool:
    """Has it metrics or timings of its own?"""
    return row.headline is not None or row.latency_ms is not None


def shipped(comparison: Comparison) -> Variant | None:
    return next((row for row in comparison.variants if row.name == comparison.shipped), None)


def gate_columns(comparison: Comparison) -> list[tuple[str, Literal["min", "max"]]]:
    """(figure, bound) of all gates, in their order."""
    return list(dict.fromkeys((gate.metric, gate.bound) for gate in comparison.gates))


def gate_rows(comparison: Comparison) -> list[tuple[str, list[Gate | None]]]:
    """For each variant that has gates its name, and a gate or nothing for each column."""
    cells = {(gate.variant, gate.metric, gate.bound): gate for gate in comparison.gates}
    names = dict.fromkeys(gate.variant for gate in comparison.gates)
    columns = gate_columns(comparison)
    return [(name, [cells.get((name, figure, bound)) for figure, bound in columns]) for name in names]


def gate_definitions(comparison: Comparison) -> list[str]:
    """Each limit once: what it is on, for float variants, for quantized ones, and for those that saturate here."""
    quantized = {row.name for row in comparison.variants if row.quantized}
    others = {gate.variant for gate in comparison.not_held}

    def kind(gate: Gate) -> str:
        if gate.variant in others:
            return "Quantized variants that saturate on this CPU"
        return "Quantized variants" if gate.variant in quantized else "Float variants"

    held = [(kind(gate), gate) for gate in comparison.gates]
    spared = [("Quantized variants", gate) for gate in comparison.not_held]
    lines = [
        f"{whose}: {gate_format.gate_name(gate.metric)} {gate_format.gate_limit(gate)}"
        for whose, gate in (*held, *spared)
    ]
    return list(dict.fromkeys(lines))


def timing_tables(comparison: Comparison) -> list[tuple[int, int, list[tuple[str, Timing]]]]:
    """For each batch size and thread count the timings of the variants that have them."""
    grouped: dict[tuple[int, int], list[tuple[str, Timing]]] = {}
    for row in comparison.variants:
        for timing in row.timings:
            grouped.setdefault((timing.threads, timing.batch), []).append((row.name, timing))
    return [(batch, threads, rows) for (threads, batch), rows in sorted(grouped.items(), key=lambda item: item[0])]


def noise_sentence(comparison: Comparison) -> str:
    if not comparison.noise:
        return "No file was timed twice, so the noise of the timings is not known."
    shares = ", ".join(f"{item.image} {100 * item.share:.1f}\u00a0%" for item in comparison.noise)
    return f"Two timings of one and the same file differ by at most: {shares}. Smaller differences mean nothing."


@dataclass(frozen=True)
class Loss:
    """What became of the answers in a conversion step; `level` is what the page marks."""

    level: Literal["kept", "changed", "lost"]
    text: str


def describe_loss(step: ConversionStep) -> Loss:
    """Lost: significantly fewer right answers, by McNemar's test in this step alone."""
    by, changed = ", ".join(step.tools) or "an unknown tool", step.drift.changed
    if step.paired is None:
        return describe_metric_loss(step, by)
    if step.paired.delta_pp < 0 and step.paired.p_value < SIGNIFICANT:
        return Loss("lost", f"{by} lost {-step.paired.delta_pp:.2f} points")
    if changed:
        return Loss("changed", f"{by} changed {changed:,} answer{'s' if changed > 1 else ''}, no significant loss")
    return Loss("kept", "every answer kept")


def describe_metric_loss(step: ConversionStep, by: str) -> Loss:
    """Of a task without classes: lost is a worse metric, by the paired bootstrap and by more than matters."""
    if step.drift.sqnr_db is None:
        return Loss("kept", "every output kept, bit for bit")
    noise = f"{step.drift.sqnr_db:.0f} dB"
    if step.metric is None or step.metric.delta is None:
        return Loss("kept" if step.drift.sqnr_db >= KEPT_DB else "changed", f"{by} left noise at {noise}")
    change = MetricValue(step.metric.name, step.metric.delta)
    if metric_specs.is_significant_loss(step.metric, SIGNIFICANT):
        return Loss("lost", f"{by} lost: {phrases.change_text(change)} (noise at {noise})")
    if step.drift.sqnr_db >= KEPT_DB:
        return Loss("kept", f"outputs kept (noise at {noise})")
    return Loss("changed", f"{by} left noise at {noise}, no loss that matters")


@dataclass(frozen=True)
class Stop:
    """A float variant on the model's way: the step to it, None at the beginning, and those that quantize it.

    `leads`: the stop behind it was made from it.
    """

    name: str
    step: ConversionStep | None
    quantized: tuple[ConversionStep, ...]
    leads: bool


def chain(comparison: Comparison) -> list[Stop]:
    """The float variants in the order in which they are made, each with its branches."""
    steps = comparison.conversion_steps
    floats = [step for step in steps if isinstance(step.change, FormatConversion)]
    arrivals = {step.after: step for step in floats}
    names = dict.fromkeys(name for step in floats for name in (step.before, step.after))
    names |= dict.fromkeys(step.before for step in steps)
    behind = dict(pairwise(names))
    stops = []
    for name in names:
        quantized = tuple(step for step in steps if isinstance(step.change, Quantization) and step.before == name)
        following = arrivals.get(behind.get(name, ""))
        stops.append(Stop(name, arrivals.get(name), quantized, following is not None and following.before == name))
    return stops


def list_confusing(comparison: Comparison) -> list[Variant]:
    """The rows whose table of confusion is small enough to be shown."""
    return [row for row in comparison.variants if row.confusion and len(row.confusion) <= MOST_CLASSES]


def describe_origin(comparison: Comparison) -> list[tuple[str, str]]:
    """When it was measured and by which crossquant, as (name, value)."""
    origin = comparison.origin
    if origin is None:
        return []
    version = f"{origin.version}, commit {origin.commit[:COMMIT]}" if origin.commit else origin.version
    named = {"measured": origin.measured, "crossquant": version, "command": origin.command}
    return [(name, value) for name, value in named.items() if value]


def ece_rows(comparison: Comparison) -> list[tuple[Variant, str, float | None]]:
    """Each variant that has a calibration error, with the variant it was made from and that one's."""
    errors = {row.name: row.ece for row in comparison.variants}
    before = {step.after: step.before for step in comparison.conversion_steps}
    rows = [row for row in comparison.variants if row.ece is not None]
    return [(row, before.get(row.name, ""), errors.get(before.get(row.name, ""))) for row in rows]


def host_rows(comparison: Comparison) -> list[tuple[str, str]]:
    """Whatever the host is known to be, in words."""
    host: dict[str, Any] = comparison.host
    memory = host.get("memory_bytes")
    named = {
        "CPU": host.get("cpu"),
        "cores": host.get("cores"),
        "8-bit instructions": ", ".join(host.get("int8_instructions", [])) or "none",
        "memory": f"{memory / 1e9:.1f} GB" if memory else None,
        "system": host.get("system"),
    }
    named_keys = {"cpu", "cores", "int8_instructions", "memory_bytes", "system"}
    others = {name.replace("_", " "): value for name, value in host.items() if name not in named_keys}
    return [(name, str(value)) for name, value in (named | others).items() if value not in (None, "")]
