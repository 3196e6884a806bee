"""The bench itself, in its short form: everything can be measured. How fast it is, is no test's business."""

import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections

from config.testing import DEFAULT_POSTGRES
from scripts.benches.rounds import SLOTS
from shop.sharding.postgresql import pool
from tests.architecture.tree import ROOT
from tests.kernel.pools import close_idle

POSTGRES = os.environ.get("TEST_POSTGRES_URL", DEFAULT_POSTGRES)


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it. It needs two thirds of a server's connections: what this process keeps open for other tests is closed."""
    connections.close_all()
    close_idle(pool._here)
    command = [str(ROOT / "scripts" / "bench"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def databases_of_benches() -> set[str]:
    with psycopg.connect(POSTGRES) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database WHERE datname ~ '^shop_bench'")}


def is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0


def test_everything_is_measured_and_nothing_stays(tmp_path: Path):
    if os.environ["SHOP_TEST_ENGINE"] != "postgres":
        pytest.skip("the bench measures on PostgreSQL: this runs in that half of the suite")
    before = databases_of_benches()
    # when
    done = bench("--quick", "--json", "--out", str(tmp_path), "--postgres", POSTGRES)
    # then
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "bench.json").read_text())
    assert found["quick"] is True
    rows = {(row["case"], row["subject"]): row for row in found["measured"]}
    assert rows.keys() == {*SLOTS, ("journey", "shop")}
    assert all(is_positive(row["rate"]) for row in rows.values())
    for (_, subject), row in rows.items():
        if subject in {"shop", "bare", "fastapi"}:
            assert 0 < row["p50_ms"] <= row["p99_ms"], row
            assert is_positive(row["server_cpu_us"]), row
    for case in ("product", "products", "order", "place", "login"):
        assert is_positive(rows[case, "shop"]["database_cpu_us"])
    budgets = [figure for figure in found["figures"] if figure["budget"] is not None]
    assert len(budgets) == 8
    for figure in found["figures"]:
        assert is_positive(figure["value"]), figure
        assert figure["low"] <= figure["value"] <= figure["high"], figure
    assert found["run"]["second_start"] < found["run"]["first_start"]
    assert len(found["run"]["workers_own_mb"]) == 2
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    # and nothing of it stays
    assert databases_of_benches() <= before


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--postgres", "postgres://nobody@127.0.0.1:9/none"), "name another server with --postgres"),
        (("--orders", "nowhere.csv.gz", "--rounds", "0"), "must be a whole number from 1 to 100"),
        (("--seconds", "soon"), "must be a number from 0.2 to 60"),
        (("shreds",), "unrecognized arguments: shreds"),
        (("shards", "--counts", "1,17"), "must be numbers from 1 to 16, like 1,4,16, not '1,17'"),
        (("shards", "--postgres", "postgres://nobody@127.0.0.1:9/none"), "name another server with --postgres"),
        (("events", "--broker", "kafka://127.0.0.1"), "must be a URL of amqp or amqps"),
        (("events", "--events", "many"), "must be a whole number from 1 to 1000000, not 'many'"),
    ],
)
def test_what_stands_in_the_way_is_said_with_exit_code_2(arguments, reason):
    done = bench(*arguments)
    assert done.returncode == 2
    assert reason in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
