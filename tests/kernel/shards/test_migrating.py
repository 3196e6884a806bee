"""`manage.py migrate_contexts` on real databases: what it says when all goes well, and when one does not answer."""

import re

import pytest

from shop.sharding.fencing import PRESENT
from tests.kernel.processes import SECONDS, begin, result, start
from tests.kernel.shards.conftest import Shop

BESIDE_A_THREAD = """
import threading, time
from django.core.management import call_command
from shop.sharding import migrating
from shop.sharding.readiness import unapplied
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
may_fork = migrating.may_fork()
call_command("migrate_contexts")
print(json.dumps({"may_fork": may_fork, "unapplied": unapplied("catalog_2")}))
"""


def lines(said):
    return [re.sub(r"\(.*\)", "(…)", line).strip() for line in said.out.splitlines()]


def test_each_database_is_a_line_when_it_is_done(make_shop):
    shop: Shop = make_shop(3)
    again = shop.manage("migrate_contexts", "--jobs", "1")
    assert lines(again) == [f"[{n + 1}/3] catalog_{n}: up to date (…)" for n in range(3)]
    checked = shop.manage("migrate_contexts", "--check")
    assert (checked.code, lines(checked)[0]) == (0, "[1/3] catalog_0: up to date (…)")
    shop.append()
    behind = shop.manage("migrate_contexts", "--check")
    assert behind.code == 1
    assert "unapplied: catalog_3" in behind.error
    applied = shop.manage("migrate_contexts")
    assert applied.code == 0
    assert re.search(r"catalog_3: \d+ applied", applied.out)


def test_one_that_does_not_answer_is_named_with_what_is_done_and_what_is_not(make_shop, unreachable):
    shop: Shop = make_shop(1)
    shop.urls += [unreachable, shop.make(), shop.make()]
    failed = shop.manage("migrate_contexts", "--jobs", "1")
    assert failed.code == 2
    assert lines(failed) == ["[1/4] catalog_0: up to date (…)", "[2/4] catalog_1: failed"]
    told = failed.error.splitlines()
    assert told[0].startswith("CommandError: catalog_1: ") or told[0].startswith("catalog_1: ")
    assert told[-3:] == [
        "done: catalog_0",
        "not begun: catalog_2, catalog_3",
        "mend it and run the command again: what is done is passed over",
    ]
    assert "a-secret" not in failed.error + failed.out
    # when it is mended, the rest is done
    shop.urls[1] = shop.make()
    assert shop.manage("migrate_contexts").code == 0
    assert shop.manage("shards", "status").code == 0


def test_a_folder_that_is_not_there_is_told(make_shop):
    shop: Shop = make_shop(1)
    if not shop.urls[0].startswith("sqlite"):
        pytest.skip("PostgreSQL has no folders")
    shop.urls.append("sqlite:///not-there/catalog.sqlite3")
    for command in ("migrate_contexts", "shards add catalog"):
        failed = shop.manage(*command.split())
        assert (failed.code, "No such file or directory" in failed.error) == (2, True), failed


def test_where_threads_run_no_process_is_forked(make_shop):
    """Given a thread, whose locks a fork would keep for ever."""
    shop: Shop = make_shop(2)
    shop.append()
    assert result(start(BESIDE_A_THREAD, shop.environment)) == {"may_fork": False, "unapplied": 0}


def test_what_an_interrupted_migration_left_out_is_seen_and_made_up_for(make_shop):
    """Given databases that were migrated: one has no fence, the other was not told what it owns."""
    shop: Shop = make_shop(2)
    for name, table in triggers_of(shop, "catalog_0"):
        shop.sql("catalog_0", f'DROP TRIGGER "{name}"' + ("" if shop.urls[0].startswith("sqlite") else f" ON {table}"))
    shop.sql("catalog_1", "DELETE FROM shop_shardslice")
    behind = shop.manage("migrate_contexts", "--check")
    assert (behind.code, "unapplied: catalog_0, catalog_1" in behind.error) == (1, True)
    # when
    again = shop.manage("migrate_contexts")
    assert lines(again) == [f"[{n + 1}/2] catalog_{n}: 1 applied (…)" for n in range(2)]
    assert shop.manage("migrate_contexts", "--check").code == 0
    assert shop.manage("shards", "doctor").code == 0


def triggers_of(shop, alias):
    engine = "sqlite" if shop.urls[0].startswith("sqlite") else "postgresql"
    return shop.ask(alias, PRESENT[engine])


def test_of_two_that_migrate_at_once_one_waits(make_shop):
    shop: Shop = make_shop(0)
    shop.append(), shop.append()
    running = [begin("migrate_contexts", environment=shop.environment) for _ in range(2)]
    said = [process.communicate(timeout=SECONDS) for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert shop.manage("migrate_contexts", "--check").code == 0


def test_with_a_lost_home_every_command_says_the_same(make_shop):
    shop: Shop = make_shop(2)
    shop.urls[0] = shop.make()
    for command in ("migrate_contexts", "shards add catalog", "shards rebuild-map", "shards doctor"):
        refused = shop.manage(*command.split())
        found = " ".join((refused.out + refused.error).split())
        assert (refused.code != 0, "an empty database is behind the URL" in found) == (True, True), (command, refused)
    looked = shop.manage("check_invariants", "--settle", "0", "--wait", "0")
    assert (looked.code, "not looked at: catalog_1" in looked.out) == (2, True)


def test_wrong_numbers_of_jobs_are_refused(make_shop):
    shop: Shop = make_shop(1)
    for wrong in ("0", "many", "65"):
        assert "must be a number from 1 to 64" in shop.manage("migrate_contexts", "--jobs", wrong).error
