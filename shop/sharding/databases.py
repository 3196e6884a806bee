"""Which databases this process has. An alias is `<context>_<n>`; `<context>_0` is the context's home."""

from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.db import close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from shop.sharding.postgresql.base import give_back_all, held


def hosted_contexts() -> tuple[str, ...]:
    """Contexts that live in this process, in the order of the settings."""
    return tuple(settings.CONTEXTS)


def context_of_alias(alias: str) -> str:
    """Context whose database ``alias`` is."""
    return alias.rpartition("_")[0]


def home_of(context: str) -> str:
    """Alias that holds what the context does not shard, and its control tables."""
    return f"{context}_0"


def aliases_of(context: str) -> Sequence[str]:
    """All aliases of a context, by position."""
    return [alias for alias in settings.DATABASES if context_of_alias(alias) == context]


def owner_of(app_label: str) -> str | None:
    """Context that owns an app's tables; None for tables of the kernel and of staff."""
    owner = app_label.removeprefix("shop_")
    return owner if owner != app_label and owner in settings.CONTEXTS else None


def file_of(alias: str) -> Path | None:
    """The file of an SQLite database that is one."""
    name = str(connections[alias].settings_dict["NAME"])
    is_file = connections[alias].vendor == "sqlite" and not name.startswith("file:") and ":memory:" not in name
    return Path(name) if is_file else None


def exists(alias: str) -> bool:
    """False for an SQLite file that is not there: to connect would make it."""
    file = file_of(alias)
    return file is None or file.exists()


def in_use() -> Sequence[BaseDatabaseWrapper]:
    """Connections that this thread has open, those in a transaction among them: few, however many shards there are."""
    return connections.all(initialized_only=True) if "sqlite3" in settings.SHOP_ENGINES else held()


def leave_databases(**_: object) -> None:
    """At the end of a request or of a piece of work: give back the connections that this thread has taken.

    Django's own way there asks after every database, used or not; on SQLite it has connections to look after.
    """
    give_back_all()
    if "sqlite3" in settings.SHOP_ENGINES:
        close_old_connections()
