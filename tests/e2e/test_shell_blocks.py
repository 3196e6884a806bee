"""What README and `docs/` tell readers to type is typed, page by page, at a shop that has something to sell."""

import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from config.testing import SHARDS as USUAL
from tests.docs.pages import pages
from tests.docs.sessions import faults_of, run_blocks
from tests.e2e.people import Staff
from tests.e2e.shopserver import ShopServer

OPERATE = "docs/how-to/operate.md"
DEAD = """INSERT INTO shop_inboxentry (id, handler, event_id, key, event_seq, state, attempts, reason)
          VALUES (1, 'ordering.a_handler_that_had_a_bug', 2, '3', 1, 'dead', 5, 'ValueError')"""


def typed() -> list[object]:
    """Pages with blocks to run. Those for operators type what is the same on any engine, or is SQLite's: once."""
    found = [page for page in pages() if run_blocks(page)]
    return [pytest.param(p, marks=pytest.mark.once) if p.startswith("docs/how-to/") else p for p in found]


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopServer]:
    """With as many shards as the pages tell of."""
    server = ShopServer(tmp_path_factory.mktemp("stocked"), shards=USUAL)
    try:
        staff = Staff(server.start())
        kitchen = staff.category()
        for name in ("Brown Betty teapot", "Blue teapot", "Milk jug"):
            staff.product(name, stock=50, category=kitchen)
        yield server
    finally:
        server.remove()


def nothing_is_on_its_way(home: Path) -> bool:
    """Whether what other pages began is done with the provider, within the time that retries take."""
    for _ in range(300):
        if not any(due(home / f"ordering_{number}.sqlite3") for number in (0, 1)):
            return True
        time.sleep(0.1)
    return False


def due(file: Path) -> int:
    """Refunds, payments and reports that a job has still to ask the provider about."""
    with closing(sqlite3.connect(file)) as database:
        tables = ("shop_ordering_refund", "shop_ordering_payment", "shop_ordering_webhookinbox")
        counts = [f"SELECT count(*) FROM {table} WHERE due_at IS NOT NULL" for table in tables]  # noqa: S608  our names
        return sum(database.execute(count).fetchone()[0] for count in counts)


@pytest.mark.parametrize("page", typed())
def test_a_page_does_what_it_says(stocked, page, tmp_path):
    # given the shop where the page says it is, and a folder for what the page makes
    environment = stocked.environment(SHOP=f"http://127.0.0.1:{stocked.port}", TMPDIR=str(tmp_path))
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    if page == OPERATE:  # which tells what to do with a dead event
        with closing(sqlite3.connect(stocked.home / "ordering_0.sqlite3", isolation_level=None)) as database:
            database.execute(DEAD)
        assert nothing_is_on_its_way(stocked.home)  # its backup is looked at without a shop that would finish it
    # when a shell runs its blocks, then each does what the page says
    assert faults_of(run_blocks(page), environment) == [], stocked.log()[-2000:]


def test_every_page_that_promises_it_is_typed():
    assert {"README.md", "docs/api-guide.md", "docs/how-to/run.md", OPERATE} <= {p for p in pages() if run_blocks(p)}
