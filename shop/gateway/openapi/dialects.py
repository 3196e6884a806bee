"""What the generators of the two dialects say of a context: operations and components, in one spelling."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from ninja.openapi.schema import get_schema

from shop.http.ninja import api_of

type Json = dict[str, Any]

ANSWER: Final = "Out"
REFERENCE: Final = "#/components/schemas/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A context's operations by path and method, and the components that they name."""

    paths: Mapping[str, Mapping[str, Json]]
    schemas: Mapping[str, Json]


def described(context: str, prefix: str) -> Described:
    """What a context's dialect says of it."""
    api = api_of(context)
    if api is not None:
        given: Json = get_schema(api, path_prefix=prefix)
    else:
        patterns = [path(prefix, include(f"contexts.{context}.urls"))]
        given = SchemaGenerator(patterns=patterns).get_schema(request=None, public=True)
    schemas = given["components"].get("schemas", {})
    return Described(
        paths=_spelled(given["paths"]),
        schemas={_plain(name): _spelled(shape) for name, shape in schemas.items()},
    )


def _plain(name: str) -> str:
    """A component is called what the API calls the thing: ``Order``, not ``OrderOut``."""
    return name.removesuffix(ANSWER)


def _spelled(value: Any) -> Any:
    """``value`` with plain names of components and without what the generators add for their own use."""
    if isinstance(value, dict):
        return {str(key): _word(key, inner) for key, inner in value.items() if not _is_noise(key, inner)}
    return [_spelled(item) for item in value] if isinstance(value, list) else value


def _word(key: str, inner: Any) -> Any:
    if key == "$ref":
        return REFERENCE + _plain(inner.removeprefix(REFERENCE))
    return inner.replace("``", "`") if key == "description" and isinstance(inner, str) else _spelled(inner)


def _is_noise(key: str, inner: Any) -> bool:
    """Pydantic's titles repeat the names; drf-spectacular numbers the enums for a hook that we do not use."""
    return key == "x-spec-enum-id" or (key == "title" and isinstance(inner, str))
