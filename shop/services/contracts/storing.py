"""Snapshots in files: JSON that a reviewer reads as a difference."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypedDict

from pydantic import TypeAdapter, ValidationError

from shop.services.contracts.describing import Snapshot


class BadSnapshot(Exception):
    """A snapshot that is not there or can't be read; the text says which, and what to do."""


class _Method(TypedDict):
    kind: str
    key: str | None
    shard_key: str | None
    callers: list[str]
    max_batch: int
    arguments: dict[str, Any]
    returns: dict[str, Any]
    errors: list[str]


class _Event(TypedDict):
    key: str
    shard_key: str
    payload: dict[str, Any]


class _Error(TypedDict):
    code: str
    data: dict[str, Any]


class _Snapshot(TypedDict):
    """What has to be there for one to be held against another."""

    services: dict[str, dict[str, _Method]]
    events: dict[str, _Event]
    errors: dict[str, _Error]
    types: dict[str, dict[str, Any]]


_shape: Final = TypeAdapter(_Snapshot)


def is_snapshot(found: Any) -> bool:
    """Whether it has the shape of one, and knows every type that it refers to."""
    try:
        _shape.validate_python(found, strict=True)
    except ValidationError:
        return False
    return all(name in found["types"] for name in _referred(found))


def _referred(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].rpartition("/")[2]
        for inner in part.values():
            yield from _referred(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _referred(inner)


def text_of(snapshot: Snapshot) -> str:
    """The file's content."""
    return json.dumps(snapshot, indent=1, ensure_ascii=False) + "\n"


def stored(path: Path) -> Snapshot:
    """What a file holds.

    Raises:
        BadSnapshot: It is missing, or no snapshot.
    """
    try:
        found: Snapshot = json.loads(path.read_text())
    except FileNotFoundError:
        raise BadSnapshot(f"{path} is missing: `manage.py contracts write` makes it") from None
    except (OSError, ValueError) as error:
        raise BadSnapshot(f"{path} can't be read: {error}; take it from version control") from None
    if not is_snapshot(found):
        raise BadSnapshot(f"{path} is no snapshot of a contract; take it from version control")
    return found
