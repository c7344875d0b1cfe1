"""`comparison.json` of schema 2, as version 0.2 wrote it: converted so that `diff` can read it.

Its decision rested on tests that schema 3 has not, so that only what was shipped is kept of it.
"""

from typing import Any

from shared.errors import FieldError

SCHEMA = 2


def convert_to_schema3(data: dict[str, Any]) -> dict[str, Any]:
    """The JSON object of a comparison of schema 2 as one of schema 3. FieldError where `data` is no such comparison."""
    try:
        return data | {
            "schema": 3,
            "variants": [convert_variant(row) for row in data["variants"]],
            "conversion_steps": [
                step
                | {
                    "paired": convert_pairs(step["paired"]),
                    "metric": step.get("metric") and convert_metric(step["metric"]),
                }
                for step in data["conversion_steps"]
            ],
            "decision": convert_decision(data["decision"]),
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise FieldError((), f"is not of schema {SCHEMA}: {type(error).__name__} {error}") from None


def convert_variant(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "metrics": [convert_metric(metric) for metric in row["metrics"]],
        "paired": convert_pairs(row["paired"]),
    }


def convert_pairs(pairs: dict[str, Any] | None) -> dict[str, Any] | None:
    """The same; today only those of a class have a corrected p-value."""
    return pairs and pairs | {"p_holm": None}


def convert_metric(metric: dict[str, Any]) -> dict[str, Any]:
    """Without the p-value that was corrected over the variants."""
    return {key: value for key, value in metric.items() if key != "p_holm"}


def convert_decision(decision: dict[str, Any] | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    return {"outcome": decision["outcome"], "variant": decision["variant"], "reasons": []}
