"""What goes over a context's border, as JSON, for everything that a snapshot names."""

from collections.abc import Mapping
from typing import Any

from tests.contract.examples import examples


def payloads_of(snapshot: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Examples by what they are of: ``arguments TeaService.pour``, ``answer …``, ``event …``, ``error …``."""
    return {name: examples(schema, snapshot["types"]) for name, schema in schemas_of(snapshot).items()}


def schemas_of(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Schemas by the same names."""
    found: dict[str, Any] = {}
    for service, methods in snapshot["services"].items():
        for name, method in methods.items():
            found[f"arguments {service}.{name}"] = method["arguments"]
            found[f"answer {service}.{name}"] = method["returns"]
    found |= {f"event {topic}": event["payload"] for topic, event in snapshot["events"].items()}
    return found | {f"error {name}": error["data"] for name, error in snapshot["errors"].items()}
