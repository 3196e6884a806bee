"""Contexts name no database: what lies there may be a copy under way. They have keys, `.across()` and `owned_by`."""

import ast

import pytest

from tests.architecture.tree import ROOT

pytestmark = pytest.mark.once

NAMING = {"using", "db_manager", "raw"}


def named_databases(source: str) -> list[str]:
    """Calls that put a query on a database by its name."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call.attr for call in calls if isinstance(call, ast.Attribute) and call.attr in NAMING]


def test_no_context_names_a_database():
    files = [file for file in (ROOT / "contexts").rglob("*.py") if not {"tests", "migrations"} & set(file.parts)]
    assert len(files) > 30
    assert {str(file.relative_to(ROOT)) for file in files if named_databases(file.read_text())} == set()


@pytest.mark.parametrize("call", ["using(alias)", "db_manager(alias)", "raw(text, using=alias)"])
def test_a_named_database_is_found(call):
    assert named_databases(f"rows = Order.objects.{call}") == [call.partition("(")[0]]
