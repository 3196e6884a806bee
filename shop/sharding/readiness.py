"""Whether this process's databases are fit for traffic; `/readyz` shows it by alias."""

from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from shop.observability.health import OK, readiness
from shop.sharding.databases import aliases_of, context_of_alias, home_of, hosted_contexts
from shop.sharding.errors import ShardMapMissing
from shop.sharding.fencing import fence_faults, is_current
from shop.sharding.first_migrate import ForeignDatabase, check_identity
from shop.sharding.models import DatabaseIdentity, ShardSlice
from shop.sharding.shard_map import known_maps
from shop.sharding.stored_map import sound_map

_migrated: set[str] = set()
_fenced: set[str] = set()


def declare_readiness() -> None:
    """The kernel's `apps` comes in here."""
    readiness("databases", databases_ready)
    readiness("migrations", migrations_ready)
    readiness("fences", fences_ready)
    readiness("maps", maps_ready)


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
        home = home_of(context_of_alias(alias))
        if alias != home and _is_there(alias):  # it is the home, which knows who it is, that failed
            return f"not recognised while {home} does not answer"
        return f"does not answer ({type(error).__name__})"
    return OK


def _is_there(alias: str) -> bool:
    try:
        return DatabaseIdentity.objects.using(alias).exists()
    except DatabaseError:
        return False


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


def fences_ready() -> dict[str, str]:
    """By alias: whether it has every trigger of the fence."""
    return {alias: _is_fenced(alias) for alias in all_aliases()}


def _is_fenced(alias: str) -> str:
    if alias in _fenced:
        return OK
    try:
        if fence_faults(alias):
            return "its fence is not whole: run `manage.py migrate_contexts`"
    except DatabaseError as error:
        return f"does not answer ({type(error).__name__})"
    _fenced.add(alias)
    return OK


def maps_ready() -> dict[str, str]:
    """By context: whether this process knows where its rows live."""
    return {context: _is_mapped(context) for context in hosted_contexts()}


def _is_mapped(context: str) -> str:
    if context in known_maps():
        return OK
    try:
        sound_map(context)
    except ShardMapMissing as error:
        return error.why
    except DatabaseError as error:
        return f"does not answer ({type(error).__name__})"
    return OK


def left_to_do(alias: str) -> int:
    """Number of steps that `migrate_contexts` has to do: migrations, or what follows them where it was interrupted."""
    return unapplied(alias) or int(not (is_told(alias) and is_current(alias)))


def is_told(alias: str) -> bool:
    """Whether a migrated database knows what it is, and what it owns."""
    return all(model.objects.using(alias).exists() for model in (DatabaseIdentity, ShardSlice))


def unapplied(alias: str) -> int:
    """Number of migrations this code knows and ``alias`` does not have."""
    executor = MigrationExecutor(connections[alias])
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
