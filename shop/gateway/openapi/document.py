"""The document as a whole: operations of the route table, components of the dialects, put together and rendered."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django.conf import settings

from shop.gateway.jwks import OPERATION, PATH, SCHEMAS
from shop.gateway.openapi.components import SHARED
from shop.gateway.openapi.dialects import described
from shop.gateway.openapi.operations import PART, operation
from shop.gateway.openapi.refusals import problem_codes
from shop.gateway.routes import ids_of, operations_of

type Json = dict[str, Any]


class Clash(LookupError):
    """Two contexts call different things by one name, or a route has no view that could be described."""


def document(context: str = "") -> Json:
    """OpenAPI 3.1 of one context; of all that are hosted here without a name.

    Raises:
        Clash: The parts do not fit together.
    """
    paths: dict[str, Json] = {}
    schemas: dict[str, Json] = dict(SHARED["schemas"])
    contexts = (context,) if context else settings.CONTEXTS
    for name in contexts:
        _add_context(name, paths, schemas)
    return framed(contexts, paths, schemas, _share_responses(paths), title=f"Shop: {context}" if context else "Shop")


def framed(
    contexts: Iterable[str],
    paths: Mapping[str, Json],
    schemas: Mapping[str, Json],
    responses: Mapping[str, Json],
    *,
    title: str = "Shop",
) -> Json:
    """A document of its parts, each in the order of its names."""
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "license": {"name": "MIT"}},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in contexts],
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": {
            **SHARED,
            "responses": {name: responses[name] for name in sorted(responses)},
            "schemas": {name: schemas[name] for name in sorted(schemas)},
        },
    }


@cache
def as_json(context: str = "") -> bytes:
    """`document` as it is served; made once per process."""
    return json.dumps(document(context), ensure_ascii=False).encode()


def _add_context(context: str, paths: dict[str, Json], schemas: dict[str, Json]) -> None:
    found = described(context, f"api/v1/{context}/")
    for template, route in operations_of(context):
        path, method = "/" + PART.sub(r"{\1}", template), route.method.lower()
        if method not in found.paths.get(path, {}):
            raise Clash(f"no view answers {route.method} {path}")
        at = paths.setdefault(path, {})
        at[method] = operation(route, context, ids_of(context), found.paths[path][method])
    if context == settings.STAFF_CONTEXT:
        paths[PATH] = {"get": {"tags": [context], **OPERATION}}
        _add_schemas(schemas, SCHEMAS)
    _add_schemas(schemas, found.schemas)


def _share_responses(paths: dict[str, Json]) -> dict[str, Json]:
    """Take problems with one code, which many operations answer, out of them; returns these by their codes' names."""
    shared: dict[str, Json] = {}
    for operations in paths.values():
        for answers in (each["responses"] for each in operations.values()):
            for status, answer in answers.items():
                codes = problem_codes(answer)
                if len(codes) == 1:
                    name = "".join(word.title() for word in codes[0].split("_"))
                    shared[name] = answer
                    answers[status] = {"$ref": f"#/components/responses/{name}"}
    return shared


def _add_schemas(schemas: dict[str, Json], more: Mapping[str, Json]) -> None:
    for name, shape in more.items():
        if schemas.setdefault(name, shape) != shape:
            raise Clash(f"two components are called {name}: {schemas[name]} and {shape}")
