"""`comparison.json` of schema 1, as earlier versions wrote it: converted so that `diff` can read it.

Schema 1 has sentences where schema 2 has kinds and values. They are left out, since no code takes a sentence apart.
What `diff` shows (versions, host, metrics, sizes, timings) is all there.
"""

from pathlib import Path
from typing import Any

from shared.contract import decode, loads, shown
from shared.data import samples
from shared.data.samples import About
from shared.errors import CrossquantError, FieldError

SCHEMA = 1
QUANTIZATION = "FP32→INT8"  # the label of every quantization, whatever its types


def convert_to_schema2(data: dict[str, Any]) -> dict[str, Any]:
    """The JSON object of a comparison of schema 1 as one of schema 2. FieldError where `data` is no such comparison."""
    try:
        return convert(data)
    except (KeyError, TypeError, AttributeError) as error:
        raise FieldError((), f"is not of schema {SCHEMA}: {type(error).__name__} {error}") from None


def convert(data: dict[str, Any]) -> dict[str, Any]:
    converted = {key: value for key, value in data.items() if key not in ("legs", "verdict")}
    return converted | {
        "schema": 2,
        "dataset": rename_key(data["dataset"], "judged", "evaluated_output"),
        "variants": [convert_variant(row) for row in data["variants"]],
        "conversion_steps": [convert_conversion_step(step) for step in data["legs"]],
        "noise": [
            {"image": item["image"], "repeat_of": item["twin_of"], "share": item["share"]} for item in data["noise"]
        ],
        "gates": [rename_key(gate, "figure", "metric") for gate in data["gates"]],
        "warnings": [],
        "decision": convert_decision(data["verdict"], data["reference"]),
    }


def convert_variant(row: dict[str, Any]) -> dict[str, Any]:
    """Without its sentences; the accuracy, which had fields of its own, as the first metric."""
    apart = ("remarks", "accuracy", "delta_pp", "interval", "agreement", "max_abs_diff")
    kept = {key: value for key, value in row.items() if key not in apart}
    metrics = [*convert_accuracy(row), *row["metrics"]]
    return kept | {
        "metrics": metrics,
        "warnings": [],
        "conversion_notes": [],
        "draws": convert_draws(row["draws"], row["accuracy"] is not None) if row.get("draws") else None,
        "curve": [rename_key(point, "accuracy", "value") for point in row.get("curve", ())],
        "emulated": [rename_key(run, "accuracy", "value") for run in row.get("emulated", ())],
    }


def convert_draws(draws: dict[str, Any], has_classes: bool) -> dict[str, Any]:
    """The difference of an accuracy was in points; of any other metric it is in its own unit."""
    delta = draws["delta_pp"] / 100 if has_classes else draws["delta_pp"]
    return {"values": draws["accuracies"], "mean": draws["mean"], "sd": draws["sd"], "delta": delta}


def convert_accuracy(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The metric of a classification; none of another task."""
    if row["accuracy"] is None:
        return []
    pairs = row["paired"]
    tested = {
        "delta": None if row["delta_pp"] is None else row["delta_pp"] / 100,
        "delta_interval": pairs and {end: pairs["interval_pp"][end] / 100 for end in ("low", "high")},
        "p_value": pairs and pairs["p_value"],
        "p_holm": pairs and pairs["p_holm"],
    }
    return [{"name": "accuracy", "value": row["accuracy"], "interval": row["interval"], "better": "higher", **tested}]


def convert_conversion_step(step: dict[str, Any]) -> dict[str, Any]:
    """Its label `Keras→ONNX` names the two formats. Every quantization has the same one: int8 is assumed."""
    if step["kind"] == QUANTIZATION:
        change = {"kind": "quantization", "weights": "int8", "activations": "int8", "method": "static"}
    else:
        source, _, target = step["kind"].partition("→")
        change = {"kind": "conversion", "source": source, "target": target}
    return {key: value for key, value in step.items() if key != "kind"} | {"change": change}


def rename_key(item: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in item.items()}


def convert_decision(verdict: dict[str, Any], reference: str) -> dict[str, Any]:
    """What was shipped; the reasons were sentences."""
    variant = verdict["ship"]
    outcome = "keep_reference" if variant == reference else "ship"
    return {
        "outcome": outcome if variant else "ship_nothing",
        "variant": variant,
        "reasons": [],
        "rejections": [],
        "caveats": [],
    }


def read_about(folder: Path) -> About:
    """What the samples in `folder` are, also as the versions that wrote schema 1 describe them."""
    path = folder / samples.ABOUT
    if not path.exists():
        return About()
    try:
        about: About = shown(decode(About, rename_key(loads(path.read_bytes()), "judged", "evaluated_output")))
    except (OSError, ValueError, AttributeError, FieldError) as error:
        raise CrossquantError(f"{path} can't be read: {error}: run that experiment again") from None
    return about
