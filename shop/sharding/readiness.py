"""Whether this process's databases are fit for traffic; `/readyz` shows it by alias."""

from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from shop.observability.health import OK
from shop.sharding.databases import aliases_of, hosted_contexts
from shop.sharding.first_migrate import ForeignDatabase, check_identity

_migrated: set[str] = set()


def all_aliases() -> list[str]:
    """Every database of every context hosted here."""
    return [alias for context in hosted_contexts() for alias in aliases_of(context)]


def databases_ready() -> dict[str, str]:
    """By alias: whether it answers and is the one it was."""
    return {alias: _answers(alias) for alias in all_aliases()}


def _answers(alias: str) -> str:
    try:
        check_identity(alias)
    except ForeignDatabase:
        return "another database is behind this URL"
    except DatabaseError as error:
        return f"does not answer ({type(error).__name__})"
    return OK


def migrations_ready() -> dict[str, str]:
    """By alias: whether every migration this code knows is applied. Newer ones do no harm."""
    return {alias: _is_migrated(alias) for alias in all_aliases()}


def _is_migrated(alias: str) -> str:
    if alias in _migrated:
        return OK
    try:
        if unapplied(alias):
            return "unapplied migrations: run `manage.py migrate_contexts`"
    except DatabaseError as error:
        return f"does not answer ({type(error).__name__})"
    _migrated.add(alias)
    return OK


def unapplied(alias: str) -> int:
    """Number of migrations this code knows and ``alias`` does not have."""
    executor = MigrationExecutor(connections[alias])
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
