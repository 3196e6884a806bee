"""One operation of the document: what its dialect says, and what the route table says."""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from shop.gateway.openapi.refusals import problem_answer, refusals
from shop.gateway.routes import Key, Route, Who
from shop.http.ids import id_schema

type Json = dict[str, Any]

PART: Final = re.compile(r"<(\w+)>")
ANY_STAFF: Final = "staff"


def operation(route: Route, context: str, ids: Mapping[str, str], described: Json) -> Json:
    """An operation as the document shows it.

    Args:
        route: Its entry in the route table.
        context: Who answers.
        ids: Type prefixes of public IDs in paths.
        described: What the dialect's generator says.
    """
    summary, _, more = described.get("description", "").partition(". ")
    shown: Json = {
        "tags": [context],
        "operationId": described["operationId"],
        "summary": summary.strip().removesuffix("."),
        "security": _security(route),
        "x-roles": _roles(route),
        "parameters": [*_path_parameters(route, ids), *_query(route), *_headers(route)],
        "responses": dict(_responses(route, described["responses"])),
    }
    if more:
        shown["description"] = more.strip()
    if route.has_body:
        shown["requestBody"] = {"required": True, "content": described["requestBody"]["content"]}
    return shown


def _security(route: Route) -> list[Json]:
    if route.who is Who.ANYONE:
        return []
    token: Json = {"bearer": []}
    return [{}, token] if route.who is Who.READER else [token]


def _roles(route: Route) -> list[str]:
    """Who may call it: ``customer``, a staff role, or ``staff`` with any role; empty: everybody."""
    staff = [route.role or ANY_STAFF]
    return {
        Who.CUSTOMER: ["customer"],
        Who.STAFF: staff,
        Who.CUSTOMER_OR_STAFF: ["customer", *staff],
    }.get(route.who, [])


def _path_parameters(route: Route, ids: Mapping[str, str]) -> Iterator[Json]:
    for name in PART.findall(route.path):
        schema = id_schema(ids[name]) if name in ids else {"type": "string"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query(route: Route) -> Iterator[Json]:
    for each in route.query:
        schema = dict(each.schema)
        shown: Json = {"name": each.name, "in": "query", "description": each.description, "schema": schema}
        if each.required:
            shown["required"] = True
        if schema["type"] == "array":
            shown |= {"style": "form", "explode": False}
        yield shown


def _headers(route: Route) -> Iterator[Json]:
    if route.key is not Key.IGNORED:
        name = "IdempotencyKey" if route.key is Key.ACCEPTED else "RequiredIdempotencyKey"
        yield {"$ref": f"#/components/parameters/{name}"}
    if route.versioned and route.method in ("PATCH", "DELETE"):
        yield {"$ref": "#/components/parameters/IfMatch"}


def _responses(route: Route, described: Json) -> Iterator[tuple[str, Json]]:
    for status, answer in described.items():
        shown: Json = {"description": HTTPStatus(int(status)).phrase}
        if "content" in answer:
            shown["content"] = answer["content"]
        yield str(status), {**shown, "headers": _answer_headers(route, has_content="content" in answer)}
    for code, codes in refusals(route).items():
        yield str(code), problem_answer(code, codes)


def _answer_headers(route: Route, *, has_content: bool) -> Json:
    names = ["X-Request-ID"]
    if route.versioned and has_content:
        names.append("ETag")
    if route.key is not Key.IGNORED:
        names.append("Idempotent-Replay")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
