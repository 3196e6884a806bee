"""The command around a replay: arguments, what it prints, how it ends. The work itself is stood in for."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from config.demo.replay.client import StoppedError
from config.demo.replay.lines import damaged
from config.demo.replay.running import RelayPausedError
from shop.management.commands import replay_orders
from shop.sharding.readiness import all_aliases
from tests.demo.sales import rows_everywhere, written

ALIASES = all_aliases()

pytestmark = [pytest.mark.once, pytest.mark.django_db(databases=ALIASES)]


class Replayer:
    """Stands for the work: remembers what it was asked for, and does what it is told to."""

    asked: dict = {}
    answer: dict | Exception | type[BaseException] = {}

    @classmethod
    def replay(cls, path, *, progress, **options):
        progress("baskets", 1, 2)
        cls.asked = {"path": path, **options}
        if not isinstance(cls.answer, dict):
            raise cls.answer
        return cls.answer


@pytest.fixture
def replayer(settings, monkeypatch):
    settings.ORDER_REPLAYER = f"{__name__}.Replayer.replay"
    monkeypatch.setattr(replay_orders, "import_string", lambda name: Replayer.replay)
    Replayer.answer = {
        "run": "r",
        "file": {"baskets": 1_200},
        "rows": {"orders": {"a": 1, "b": 2}},
        "left": {"events": 0},
    }
    return Replayer


def run(capsys, *arguments):
    """What the command prints."""
    call_command("replay_orders", *map(str, arguments))
    return capsys.readouterr()


def refusal(*arguments):
    """The command's last line, and its exit code."""
    with pytest.raises(CommandError) as refused:
        call_command("replay_orders", *map(str, arguments))
    return str(refused.value), refused.value.returncode


def test_the_stories_know_all_databases():
    assert all_aliases() == ALIASES


def test_what_was_asked_for_is_what_is_done(replayer, capsys):
    told = run(capsys, "sales.csv.gz", "--limit", 7, "--workers", 3, "--run", "first")
    assert {**replayer.asked, "path": str(replayer.asked["path"])} == {
        "path": "sales.csv.gz",
        "limit": 7,
        "workers": 3,
        "run": "first",
        "dry_run": False,
    }
    assert told.err == "run first (to go on with it after a break: --run first)\n"


def test_a_run_without_a_name_gets_one_of_its_own(replayer, capsys):
    run(capsys, "sales.csv")
    first = replayer.asked
    run(capsys, "sales.csv")
    assert first["run"] != replayer.asked["run"]
    assert (first["limit"], first["workers"], first["dry_run"]) == (None, 2, False)


def test_the_summary_is_a_table_or_json(replayer, capsys):
    table = [line.split() for line in run(capsys, "sales.csv").out.splitlines()]
    assert table == [
        ["run", "r"],
        ["file", "baskets", "1,200"],
        ["rows", "orders", "a", "1,", "b", "2"],
        ["left", "events", "0"],
    ]
    assert json.loads(run(capsys, "sales.csv", "--json").out) == replayer.answer


@pytest.mark.parametrize(
    ("answer", "line", "code"),
    [
        (damaged(17, "it has 2 fields"), "sales.csv: line 17: it has 2 fields", 2),
        (RelayPausedError(detail="RELAY_PAUSED is set"), "RELAY_PAUSED is set", 2),
        (StoppedError(detail="invoice 1: ValueError, see the log"), "invoice 1: ValueError, see the log", 1),
        (OperationalError("no route\nto the host"), "no route", 1),
        (KeyboardInterrupt, "interrupted; baskets that had begun are finished", 130),
        ({"left": {"events": 3, "dead_events": 0}}, "not all is delivered: {'events': 3}", 1),
    ],
)
def test_how_it_ends(replayer, answer, line, code):
    replayer.answer = answer
    assert refusal("sales.csv") == (line, code)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["sales.xlsx"], "sales.xlsx: the file must be a .csv or a .csv.gz"),
        (["sales.gz"], "sales.gz: the file must be a .csv or a .csv.gz"),
        (["sales.csv", "--limit", "0"], "Error: argument --limit: must be a whole number above 0"),
        (["sales.csv", "--limit", "9" * 10], "Error: argument --limit: must be a whole number above 0"),
        (["sales.csv", "--workers", "33"], "Error: argument --workers: must be a whole number from 1 to 32"),
        (
            ["sales.csv", "--run", "a b"],
            "Error: argument --run: must be 1-40 letters, digits, dots, hyphens or underscores",
        ),
    ],
)
def test_wrong_arguments_are_refused(replayer, arguments, line):
    assert refusal(*arguments)[0] == line


def test_a_shop_without_all_its_contexts_replays_nothing(settings):
    settings.ORDER_REPLAYER = ""
    assert refusal("sales.csv") == ("CONTEXTS: orders are replayed where all contexts are hosted together", 2)


def test_a_shop_that_is_not_migrated_replays_nothing(replayer, monkeypatch):
    monkeypatch.setattr(replay_orders, "unapplied", lambda alias: alias == "catalog_0")
    assert refusal("sales.csv") == ("catalog_0: run `manage.py migrate_contexts` first", 2)


def test_a_damaged_file_is_found_before_anything_is_written(tmp_path):
    path = written(tmp_path / "sales.csv", "1,order,17850,22423,2", "2,order,17850,22423,0")
    before = rows_everywhere()
    line, code = refusal(path)
    assert (line, code) == (f"{path}: line 3: quantity must be a whole number from 1 to 1000000, not '0'", 2)
    assert rows_everywhere() == before
