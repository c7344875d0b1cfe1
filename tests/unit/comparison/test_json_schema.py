"""docs/comparison.schema.json is what the dataclasses say, and comparisons hold to it."""

import json
from dataclasses import asdict
from typing import Any

import comparisons
import pytest
import task_makers
import thorough
from task_makers import compared

from driver.comparison import json_schema

SCHEMA = json_schema.generate_schema()
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def test_the_file_that_is_shipped_is_the_one_that_is_generated():
    """`python -m driver.comparison.json_schema` writes it."""
    assert json_schema.PATH.read_text() == json_schema.schema_text()


def problems(value: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """Where `value` is not what `schema` asks for: as a validator of JSON Schema does, for the keywords that we use."""
    unknown = set(schema) - {
        *("$schema", "$defs", "$ref", "title", "description", "type", "const", "enum", "anyOf"),
        *("properties", "required", "additionalProperties", "items"),
    }
    assert not unknown, f"this test knows no {unknown}"
    messages = []
    if "$ref" in schema:
        messages += problems(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], at)
    if "anyOf" in schema and not any(not problems(value, each, at) for each in schema["anyOf"]):
        messages.append(f"{at}: none of {len(schema['anyOf'])}")
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        messages.append(f"{at}: {value}")
    if "type" in schema and not is_of(value, schema["type"]):
        return [*messages, f"{at}: no {schema['type']}"]
    if isinstance(value, dict) and schema.get("type") == "object":
        messages += [f"{at}: {key} is missing" for key in schema.get("required", ()) if key not in value]
        for key, item in value.items():
            inner = schema.get("properties", {}).get(key, schema["additionalProperties"])
            messages += [f"{at}: {key} is unknown"] if inner is False else problems(item, inner, f"{at}.{key}")
    if isinstance(value, list) and "items" in schema:
        messages += [
            problem for n, item in enumerate(value) for problem in problems(item, schema["items"], f"{at}.{n}")
        ]
    return messages


def is_of(value: Any, name: str) -> bool:
    if name in ("integer", "number"):
        return not isinstance(value, bool) and isinstance(value, int if name == "integer" else int | float)
    return isinstance(value, TYPES[name])


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(asdict(value)))


@pytest.mark.parametrize(
    "comparison",
    [
        comparisons.comparison(),
        comparisons.troubled(),
        comparisons.nothing(),
        comparisons.hostile(),
        thorough.comparison(),
    ],
    ids=["default", "troubled", "nothing", "hostile", "thorough"],
)
def test_comparisons_hold_to_it(comparison: Any):
    assert problems(as_json(comparison), SCHEMA) == []


@pytest.mark.parametrize("task", ["regression", "fidelity"])
@pytest.mark.usefixtures("volumes")
def test_comparisons_of_volumes_hold_to_it(task: str):
    assert hasattr(task_makers, task)
    assert problems(as_json(compared(task)), SCHEMA) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": 1}, ".schema: 1"),
        ({"future": 1}, ": future is unknown"),
        ({"evidence": 1}, ".evidence: no string"),
        ({"decision": {"outcome": "keep"}}, ".decision: none of 2"),
        ({"warnings": [{"kind": "no_kind"}]}, ".warnings.0: none of 5"),
    ],
)
def test_what_is_no_comparison_does_not(change: dict[str, Any], problem: str):
    assert problems(as_json(comparisons.comparison()) | change, SCHEMA) == [problem]


def test_a_field_that_is_missing_is_found():
    data = as_json(comparisons.comparison())
    del data["variants"][0]["status"]
    assert problems(data, SCHEMA) == [".variants.0: status is missing"]


def test_kinds_are_told_apart_by_their_constant():
    assert SCHEMA["$defs"]["BusyMachine"]["properties"]["kind"] == {"const": "busy_machine"}
    assert SCHEMA["properties" if "properties" in SCHEMA else "$ref"] == "#/$defs/Comparison"
