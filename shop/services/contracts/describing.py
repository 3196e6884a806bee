"""A contract as a JSON object: what the other side needs to know, and nothing that may change without its knowing."""

from collections.abc import Mapping
from typing import Any, Final, override

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DecimalSchema, DictSchema

from shop.contract import Operation, Service
from shop.services.codec import adapter
from shop.services.contracts.finding import Contract

REF: Final = "#/types/{model}"
ANY_TEXT: Final = {"type": "string"}
_WORDS: Final = ("title", "description")

type Snapshot = Mapping[str, Any]
"""``services``, ``events``, ``errors`` by name; schemas are JSON Schema (2020-12), their ``$ref`` lead to ``types``."""


def described(contract: Contract) -> Snapshot:
    """The snapshot of ``contract``."""
    schemas, types = _schemas(contract)
    return {
        "context": contract.context,
        "services": {
            service.__name__: {name: _method(service, each, schemas) for name, each in service.operations.items()}
            for service in contract.services
        },
        "events": {
            event.topic(): {
                "key": event.key,
                "shard_key": event.shard_key,
                "personal": sorted(event.personal),
                "payload": schemas[event.__name__],
            }
            for event in contract.events
        },
        "errors": {kind.__name__: {"code": kind.code, "data": schemas[kind.__name__]} for kind in contract.errors},
        "types": types,
    }


def _schemas(contract: Contract) -> tuple[dict[str, Any], dict[str, Any]]:
    """Schemas by what they are of, and the types they refer to."""
    wanted: dict[str, Any] = {kind.__name__: kind for kind in (*contract.events, *contract.errors)}
    for service in contract.services:
        for name, operation in service.operations.items():
            wanted[f"{service.__name__}.{name}"] = operation.returns
            wanted |= {f"{service.__name__}.{name}.{each}": hint for each, hint in operation.parameters.items()}
    parts = [(name, "validation", adapter(hint)) for name, hint in wanted.items()]
    found, all_of_them = TypeAdapter.json_schemas(parts, ref_template=REF, schema_generator=_AsSent)  # type: ignore[arg-type]  # a literal in a tuple
    types = {name: _bare(schema) for name, schema in sorted(all_of_them.get("$defs", {}).items())}
    return {name: _bare(schema) for (name, _), schema in found.items()}, types


class _AsSent(GenerateJsonSchema):
    """What pydantic's own leaves out, and is another thing on the wire: keys that are no texts, and exact numbers."""

    @override
    def dict_schema(self, schema: DictSchema) -> JsonSchemaValue:
        keys = self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else ANY_TEXT
        return {**super().dict_schema(schema), **({} if keys == ANY_TEXT else {"propertyNames": keys})}

    @override
    def decimal_schema(self, schema: DecimalSchema) -> JsonSchemaValue:
        return {"type": "string", "format": "decimal"}


def _method(service: type[Service], operation: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    place = f"{service.__name__}.{operation.name}"
    defaults: Mapping[str, Any] = getattr(service, operation.name).__kwdefaults__ or {}
    return {
        "kind": operation.kind.value,
        "key": operation.key,
        "shard_key": operation.shard_key,
        "callers": sorted(operation.callers),
        "timeout_seconds": operation.timeout_seconds,
        "max_batch": operation.max_batch,
        "arguments": {
            "type": "object",
            "properties": {
                name: {**schemas[f"{place}.{name}"], **_default(hint, name, defaults)}
                for name, hint in operation.parameters.items()
            },
            "required": [name for name in operation.parameters if name not in defaults],
        },
        "returns": schemas[place],
        "errors": sorted(kind.__name__ for kind in operation.errors),
    }


def _default(hint: Any, name: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What the callee takes for an argument that a caller leaves out."""
    return {"default": adapter(hint).dump_python(defaults[name], mode="json")} if name in defaults else {}


def _bare(schema: Any) -> Any:
    """A schema without what is for people: it may change at any time."""
    if isinstance(schema, dict):
        return {k: _bare(v) for k, v in schema.items() if not (k in _WORDS and isinstance(v, str))}
    return [_bare(each) for each in schema] if isinstance(schema, list) else schema
