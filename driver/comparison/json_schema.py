"""The JSON Schema (draft 2020-12) of `comparison.json`, generated from its dataclasses.

`python -m driver.comparison.json_schema` writes it to docs/comparison.schema.json.
"""

import dataclasses
import inspect
import json
import types
import typing
from typing import Any, Literal

from driver.analysis.results import Comparison
from shared.artifacts.store import ROOT

PATH = ROOT / "docs" / "comparison.schema.json"
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def generate_schema(kind: type = Comparison) -> dict[str, Any]:
    """The schema of the JSON that `shared.contract.decode` takes for the dataclass `kind`."""
    definitions: dict[str, Any] = {}
    root = describe(kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "comparison.json of crossquant",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def describe(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; `definitions` gets those of the dataclasses in it, by name."""
    if kind is Any:
        return {}
    if dataclasses.is_dataclass(kind):
        return refer_to(typing.cast(type, kind), definitions)
    if kind in TYPES:
        return {"type": TYPES[kind]}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [describe(each, definitions) for each in arguments]}
    if origin is dict:
        return {"type": "object", "additionalProperties": describe(arguments[1], definitions)}
    if origin in (tuple, list):
        return {"type": "array", "items": describe(arguments[0], definitions)}
    raise TypeError(f"no JSON Schema for {kind}")


def refer_to(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # a class that holds itself is described once
        definitions[kind.__name__] = describe_fields(kind, definitions)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def describe_fields(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Every field is written, so every field is required; no other is known."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    described = {"description": description} if (description := documentation(kind)) else {}
    return {
        **described,
        "type": "object",
        "properties": {name: describe(hints[name], definitions) for name in names},
        "required": names,
        "additionalProperties": False,
    }


def documentation(kind: type) -> str:
    """The class's own docstring on one line, "" for one that `dataclass` made up."""
    text = inspect.cleandoc(kind.__doc__ or "")
    return "" if text.startswith(f"{kind.__name__}(") else " ".join(text.split())


def schema_text() -> str:
    return json.dumps(generate_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema_text())
