"""Values of a JSON Schema, so many that every branch, member and optional field comes and is left out once."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

PLAIN = {"string": "71", "integer": 3, "boolean": True, "null": None, "number": 1.5}
MOMENT = "2026-11-30T07:00:00Z"
DEEPEST = 3


def examples(schema: Mapping[str, Any], types: Mapping[str, Any], depth: int = 0) -> list[Any]:
    """Values that ``schema`` describes; at least one."""
    if "$ref" in schema:
        return examples(types[schema["$ref"].rpartition("/")[2]], types, depth)
    if "anyOf" in schema:
        options = schema["anyOf"] if depth < DEEPEST else schema["anyOf"][:1]
        return [value for option in options for value in examples(option, types, depth + 1)]
    if "enum" in schema:
        return list(schema["enum"])
    if "const" in schema:
        return [schema["const"]]
    return _made(schema, types, depth)


def _made(schema: Mapping[str, Any], types: Mapping[str, Any], depth: int) -> list[Any]:
    if "properties" in schema:
        return list(_objects(schema, types, depth))
    if "additionalProperties" in schema:
        return [
            {f"key {n}": value for n, value in enumerate(examples(schema["additionalProperties"], types, depth + 1))}
        ]
    if "prefixItems" in schema:
        parts = [examples(part, types, depth + 1) for part in schema["prefixItems"]]
        return [list(each) for each in _beside(parts)]
    if schema["type"] == "array":
        return [[], examples(schema["items"], types, depth + 1)]
    return [MOMENT if schema.get("format") == "date-time" else PLAIN[schema["type"]]]


def _objects(schema: Mapping[str, Any], types: Mapping[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    fields = {name: examples(inner, types, depth + 1) for name, inner in schema["properties"].items()}
    for values in _beside(list(fields.values())):
        yield dict(zip(fields, values, strict=True))
    needed = schema.get("required", ())
    if len(needed) < len(fields):
        yield {name: fields[name][0] for name in needed}


def _beside(columns: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
    """Rows in which every value of every column comes; shorter columns repeat their first."""
    missing = object()
    for row in zip_longest(*columns, fillvalue=missing):
        yield tuple(columns[n][0] if value is missing else value for n, value in enumerate(row))
    if not columns:
        yield ()
