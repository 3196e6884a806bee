"""Every problem code of the document as a page for people: `docs/problem-codes.md`. The command `openapi` comes in."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shop.gateway.openapi.refusals import problem_codes

type Json = dict[str, Any]
type Row = tuple[str, str, str]
"""Code, status, meaning."""

NAMED_AT_MOST: Final = 3
HEAD: Final = """# Problem codes

Printed by `manage.py openapi --problem-codes` from the API's document; a test compares. Which operation answers which
of them with which status stands in `/api/docs`. Codes are stable: programs go by them, `detail` is for people.

| code | status | meaning | answered by |
|---|---|---|---|
"""


def problem_page(document: Mapping[str, Any]) -> str:
    """A Markdown page with a row per code and status, sorted by code."""
    found: dict[Row, set[str]] = {}
    operations = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operations += 1
            for row in _rows(document, operation):
                found.setdefault(row, set()).add(f"`{method.upper()} {path.removeprefix('/api/v1')}`")
    lines = [
        f"| `{code}` | {status} | {meaning} | {_answered_by(sorted(at), operations)} |\n"
        for (code, status, meaning), at in sorted(found.items())
    ]
    return HEAD + "".join(lines)


def _rows(document: Mapping[str, Any], operation: Json) -> Iterator[Row]:
    for status, given in operation["responses"].items():
        shared = given.get("$ref", "").rpartition("/")[2]
        answer = document["components"]["responses"][shared] if shared else given
        meanings = answer["description"].partition("\n\n")[2].splitlines()
        for code, line in zip(problem_codes(answer), meanings, strict=False):
            yield code, status, line.removeprefix(f"- `{code}`: ")


def _answered_by(at: list[str], operations: int) -> str:
    if len(at) <= NAMED_AT_MOST:
        return ", ".join(at)
    return "most operations" if 2 * len(at) > operations else "several operations"  # numbers would change all the time
