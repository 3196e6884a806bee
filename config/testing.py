"""What is different in a test run: databases of its own on the engine of ``SHOP_TEST_ENGINE``, files apart.

Each context has ``SHOP_TEST_SHARDS`` of them, whatever its own setting says.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from shop.addresses import parse_database_url
from shop.settings import Env

SHARDS: Final = 2
MOST_SHARDS: Final = 16
DEFAULT_POSTGRES: Final = "postgres://postgres@127.0.0.1:5432/postgres"
RUN: Final = str(os.getpid())
PLACE: Final = Path(tempfile.gettempdir()) / f"shop-tests-{RUN}"


def home_of_run(env: Env) -> Path | None:
    """A ``SHOP_HOME`` of this run's own; None outside of a test run."""
    if not env.text("SHOP_TEST_ENGINE"):
        return None
    PLACE.mkdir(exist_ok=True)
    return PLACE


def databases_of_run(env: Env, contexts: Sequence[str], databases: dict[str, Any]) -> dict[str, Any]:
    """``databases``; in a test run those of ``contexts`` on the engine to test, as many as the run has shards."""
    if not env.text("SHOP_TEST_ENGINE"):
        return databases
    engine = env.choice("SHOP_TEST_ENGINE", "sqlite", ("sqlite", "postgres"))
    shards = env.integer("SHOP_TEST_SHARDS", SHARDS, low=1, high=MOST_SHARDS)
    PLACE.mkdir(exist_ok=True)
    aliases = [f"{context}_{number}" for context in contexts for number in range(shards)]
    return {"default": {}, **{alias: _test_database(env, engine, alias) for alias in aliases}}


def _test_database(env: Env, engine: str, alias: str) -> dict[str, Any]:
    on_postgres = engine == "postgres"
    url = env.text("TEST_POSTGRES_URL", DEFAULT_POSTGRES) if on_postgres else f"sqlite:///{alias}.sqlite3"
    name = f"test_shop_{RUN}_{alias}" if on_postgres else str(PLACE / f"test_{alias}.sqlite3")
    return {**parse_database_url(url, PLACE), "TEST": {"DEPENDENCIES": [], "NAME": name}}
