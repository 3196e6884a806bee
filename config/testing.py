"""Databases of the test suite: the same aliases on the engine of `SHOP_TEST_ENGINE`, under names of this run."""

import os
import tempfile
from pathlib import Path
from typing import Any

from shop.settings import Env, parse_database_url

DEFAULT_POSTGRES = "postgres://postgres@127.0.0.1:5432/postgres"


def test_databases(env: Env, databases: dict[str, Any]) -> dict[str, Any]:
    """``databases`` with every alias on the engine to test."""
    engine = env.choice("SHOP_TEST_ENGINE", "sqlite", ("sqlite", "postgres"))
    run = f"{os.getpid()}"
    place = Path(tempfile.gettempdir()) / f"shop-tests-{run}"
    if engine == "sqlite":
        place.mkdir(exist_ok=True)
    found: dict[str, Any] = {"default": {}}
    for alias in databases:
        if alias == "default":
            continue
        url = env.text("TEST_POSTGRES_URL", DEFAULT_POSTGRES) if engine == "postgres" else f"sqlite:///{alias}.sqlite3"
        settings = parse_database_url(url, place)
        name = str(place / f"test_{alias}.sqlite3") if engine == "sqlite" else f"test_shop_{run}_{alias}"
        settings["TEST"] = {"DEPENDENCIES": [], "NAME": name}
        found[alias] = settings
    return found


test_databases.__test__ = False  # type: ignore[attr-defined]  # pytest collects by name
