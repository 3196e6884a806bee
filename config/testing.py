"""What is different in a test run: databases of its own on the engine of ``SHOP_TEST_ENGINE``, files apart."""

import os
import tempfile
from pathlib import Path
from typing import Any, Final

from shop.settings import Env, parse_database_url

DEFAULT_POSTGRES: Final = "postgres://postgres@127.0.0.1:5432/postgres"
RUN: Final = str(os.getpid())
PLACE: Final = Path(tempfile.gettempdir()) / f"shop-tests-{RUN}"


def home_of_run(env: Env) -> Path | None:
    """A ``SHOP_HOME`` of this run's own; None outside of a test run."""
    if not env.text("SHOP_TEST_ENGINE"):
        return None
    PLACE.mkdir(exist_ok=True)
    return PLACE


def databases_of_run(env: Env, databases: dict[str, Any]) -> dict[str, Any]:
    """``databases``; in a test run the same aliases on the engine to test."""
    if not env.text("SHOP_TEST_ENGINE"):
        return databases
    engine = env.choice("SHOP_TEST_ENGINE", "sqlite", ("sqlite", "postgres"))
    PLACE.mkdir(exist_ok=True)
    return {alias: _test_database(env, engine, alias) if alias != "default" else {} for alias in databases}


def _test_database(env: Env, engine: str, alias: str) -> dict[str, Any]:
    on_postgres = engine == "postgres"
    url = env.text("TEST_POSTGRES_URL", DEFAULT_POSTGRES) if on_postgres else f"sqlite:///{alias}.sqlite3"
    name = f"test_shop_{RUN}_{alias}" if on_postgres else str(PLACE / f"test_{alias}.sqlite3")
    return {**parse_database_url(url, PLACE), "TEST": {"DEPENDENCIES": [], "NAME": name}}
