"""`manage.py events`: what stands is shown, tried again, given up or handed over once more, and no more."""

import getpass
import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from shop.events.broker.parked import park
from shop.events.broker.sealing import seal
from shop.events.checks import check_handlers
from shop.events.envelope import Envelope
from shop.events.models import InboxEntry, OutboxEvent, ParkedMessage
from shop.events.retention import kept
from shop.sharding import home_of, hosted_contexts
from shop.sharding.readiness import all_aliases
from tests.kernel.probes import ALIASES, LEFT, RIGHT, parcel_in
from tests.kernel.test_events import ParcelSent, handle, handled, no_handlers, pass_time, send, work  # noqa: F401  fixtures

pytestmark = [pytest.mark.django_db(databases=all_aliases()), pytest.mark.usefixtures("probe_tables")]

TOPIC = ParcelSent.topic()
WEIGH = "catalog.weigh"
HOME = home_of(hosted_contexts()[0])


@pytest.fixture
def place():
    return parcel_in(RIGHT, label="place")


def events(*arguments):
    """Exit code and what was said, as JSON."""
    out = StringIO()
    try:
        call_command("events", *arguments, "--json", stdout=out)
    except CommandError as error:
        return error.returncode, json.loads(out.getvalue() or "null")
    return 0, json.loads(out.getvalue())


def ids():
    return [row.pk for row in OutboxEvent.objects.using("catalog_0").order_by("event_seq")]


def fates():
    rows = [row for alias in ALIASES for row in InboxEntry.objects.using(alias)]
    return [row.state for row in sorted(rows, key=lambda row: row.event_seq)]


@pytest.fixture
def mended():
    """Handlers fail until this is set."""
    return []


@pytest.fixture
def dead(handle, place, mended):  # noqa: F811  the fixture
    """Two events of one parcel; the first is dead, the second waits behind it."""

    def fails(event):
        if not mended:
            raise ValueError

    handle(fails)
    send(parcel_in(LEFT), place, 1, 2)
    for _ in range(6):
        work()
        pass_time()
    assert fates() == ["dead", "retry"]


@pytest.mark.usefixtures("dead")
def test_what_is_dead_is_shown_with_its_reason():
    code, said = events("status")
    rows = [(row["handler"], row["state"], row["reason"], row["events"]) for row in said["inbox"]]
    assert (code, sorted(rows)) == (1, [(WEIGH, "dead", "ValueError", 1), (WEIGH, "retry", "", 1)])
    assert said["outbox"] == said["parked"] == said["unknown_handlers"] == []


def test_what_waits_and_what_is_parked_is_shown(place):
    send(parcel_in(LEFT), place, 1, 2)
    park({"version": 9}, topic="", reason="unknown version")
    code, said = events("status")
    [waits], [parked] = said["outbox"], said["parked"]
    assert (code, waits["topic"], waits["events"], parked["reason"]) == (1, TOPIC, 2, "unknown version")


@pytest.mark.usefixtures("dead")
def test_a_handler_that_is_gone_is_named(monkeypatch):
    monkeypatch.setattr("shop.events.handlers._handlers", {})
    assert events("status")[1]["unknown_handlers"] == [WEIGH]
    faults = check_handlers(databases=ALIASES)
    assert [(fault.id, fault.msg) for fault in faults] == [
        ("shop.E010", f"{ALIASES[-1]}: events wait for {WEIGH}, which is no handler")
    ]


@pytest.mark.usefixtures("dead")
def test_the_check_finds_nothing_where_all_handlers_are_there():
    assert check_handlers(databases=ALIASES) == []


@pytest.mark.usefixtures("dead")
def test_what_is_requeued_is_tried_five_times_more(mended, place):
    assert events("requeue", "--handler", WEIGH, "--dry-run") == (0, {"requeued": 2, "dry_run": True})
    assert fates() == ["dead", "retry"]
    # when the handler is mended
    mended.append(True)
    assert events("requeue") == (0, {"requeued": 2, "dry_run": False})
    work()
    pass_time()
    work()
    assert (fates(), handled(place)) == (["done", "done"], [1, 2])


@pytest.mark.usefixtures("dead")
def test_what_is_skipped_lets_later_events_go_on(mended, place):
    mended.append(True)
    first, _ = ids()
    assert events("skip", str(first), "--reason", "lost for good") == (0, {"skipped": 1, "dry_run": False})
    pass_time()
    work()
    assert (fates(), handled(place)) == (["skipped", "done"], [2])
    [entry] = [row for alias in ALIASES for row in InboxEntry.objects.using(alias).filter(state="skipped")]
    assert entry.reason == "lost for good"


def test_what_is_not_handed_over_yet_can_be_skipped(handle, place):  # noqa: F811
    handle()
    send(parcel_in(LEFT), place, 1, 2)
    first, _ = ids()
    events("skip", str(first), "--reason", "by mistake")
    work()
    assert handled(place) == [2]


def test_a_handler_that_is_named_skips_nothing_for_others(handle, place):  # noqa: F811
    handle()
    send(parcel_in(LEFT), place, 1)
    assert events("skip", "--topic", TOPIC, "--handler", WEIGH, "--reason", "not ours")[0] == 1
    work()
    assert handled(place) == [1]


@pytest.fixture
def done(handle, place):  # noqa: F811
    """Three events that were handled."""
    handle()
    send(parcel_in(LEFT), place, 1, 2, 3)
    work()
    assert handled(place) == [1, 2, 3]


@pytest.mark.usefixtures("done")
def test_what_is_replayed_is_ignored_by_who_has_done_with_it(place):
    assert events("replay", "--topic", TOPIC) == (0, {"replayed": 3, "dry_run": False})
    assert work() == 3
    assert handled(place) == [1, 2, 3]


@pytest.mark.usefixtures("done")
def test_a_new_handler_gets_what_was_before_it(handle, place):  # noqa: F811
    again = []
    handle(lambda event: again.append(event.seq), name="weigh_again")
    events("replay", "--topic", TOPIC)
    work()
    assert again == [1, 2, 3]


@pytest.mark.usefixtures("done")
def test_one_handler_handles_once_more_what_is_replayed_for_it(place):
    _, second, _ = ids()
    assert events("replay", str(second), "--handler", WEIGH) == (0, {"replayed": 1, "dry_run": False})
    work()
    assert (handled(place), fates()) == ([1, 2, 3, 2], ["done"] * 3)


@pytest.mark.usefixtures("done")
def test_a_range_is_what_was_published_in_it():
    now = datetime.now(UTC)
    before, after = (now - timedelta(hours=1)).isoformat(), (now + timedelta(hours=1)).isoformat()
    assert events("replay", "--since", before, "--until", after, "--dry-run")[1] == {"replayed": 3, "dry_run": True}
    assert events("replay", "--until", before, "--dry-run")[0] == 1
    assert events("replay", "--since", after, "--dry-run")[0] == 1


@pytest.mark.usefixtures("done")
def test_what_is_older_than_it_is_kept_is_not_replayed():
    OutboxEvent.objects.using("catalog_0").filter(event_seq=1).update(created_at=datetime.now(UTC) - kept())
    for more in ([], ["--handler", WEIGH]):
        assert events("replay", "--topic", TOPIC, *more, "--dry-run")[1] == {"replayed": 2, "dry_run": True}


# ---- what is parked ------------------------------------------------------------------------------------------


@pytest.fixture
def unknown(place):
    """A message with two events that nobody handled when it came, weeks ago; its digest."""
    send(parcel_in(LEFT), place, 1, 2)
    rows = OutboxEvent.objects.using("catalog_0").order_by("event_seq")
    with monkeypatched_time(weeks=3):
        message = seal("catalog", [Envelope.of(row) for row in rows])
    rows.delete()
    park(message, topic=TOPIC, reason="too old")
    return ParkedMessage.objects.using(HOME).get().digest


@contextmanager
def monkeypatched_time(**ago):
    before = datetime.now(UTC) - timedelta(**ago)
    with patch("shop.events.broker.sealing.time.time", before.timestamp):
        yield


def test_parked_messages_are_listed_without_what_is_in_them(unknown):
    code, [said] = events("parked")
    assert (code, said["message"], said["topic"], said["reason"]) == (0, unknown, TOPIC, "too old")
    assert set(said) == {"message", "home", "topic", "reason", "at"}


def test_a_parked_message_is_taken_once_there_is_a_handler(handle, place, unknown):  # noqa: F811
    assert events("take")[0] == 1
    assert ParkedMessage.objects.using(HOME).count() == 1
    handle()
    assert events("take", unknown[:8], "--dry-run") == (0, {"taken": 1, "dry_run": True})
    assert handled(place) == []
    assert events("take", unknown[:8]) == (0, {"taken": 1, "dry_run": False})
    assert (handled(place), ParkedMessage.objects.using(HOME).count()) == ([1, 2], 0)


def test_what_nobody_of_us_has_signed_is_not_taken_whoever_asks(handle, place):  # noqa: F811
    handle()
    park({"version": 1, "token": "x", "events": "[]"}, topic="", reason="not signed by this shop")
    assert events("take")[0] == 1
    assert (handled(place), ParkedMessage.objects.using(HOME).count()) == ([], 1)


def test_a_parked_message_is_thrown_away_with_a_reason(unknown):
    assert events("discard", "00000000", "--reason", "no such")[0] == 1
    assert events("discard", "--topic", TOPIC, "--reason", "not ours", "--dry-run")[0] == 0
    assert ParkedMessage.objects.using(HOME).count() == 1
    assert events("discard", unknown, "--reason", "not ours") == (0, {"discarded": 1, "dry_run": False})
    assert ParkedMessage.objects.using(HOME).count() == 0


# ---- who asks, and how ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("done")
def test_the_log_says_who_did_it(caplog):
    events("replay", "--topic", TOPIC)
    [line] = [record for record in caplog.records if "events_replayed" in record.getMessage()]
    assert getpass.getuser() in line.getMessage()


def test_a_database_that_does_not_answer_is_named(monkeypatch):
    def away(alias):
        raise OperationalError

    monkeypatch.setattr("shop.events.standing._waiting", lambda alias: away(alias) if alias == HOME else iter(()))
    code, said = events("status")
    assert (code, said["unasked"]) == (2, [HOME])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["discard", "--reason", "enough"], "say which"),
        (["discard", "12345678"], "--reason"),
        (["take", "1234"], "8 or more"),
        (["take", "not a digest"], "8 or more"),
        (["replay"], "say which"),
        (["replay", "--handler", WEIGH], "say which"),
        (["replay", "--since", "yesterday"], "must be a moment"),
        (["skip", "--reason", "enough"], "say which"),
        (["skip", "1"], "--reason"),
        (["skip", "1", "--reason", " "], "1 to 200 letters"),
        (["requeue", "one"], "one is no event"),
        (["requeue", "9" * 30], "is no event"),
        (["replay", "9" * 5_000], "is no event"),
        (["replay", "--since", "0001-01-01T00:00+14:00"], "is no moment of any year"),
    ],
)
def test_wrong_arguments_are_told(arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("events", *arguments)


@pytest.mark.usefixtures("dead")
def test_people_get_tables():
    out = StringIO()
    with pytest.raises(CommandError, match="dead or parked"):
        call_command("events", "status", stdout=out)
    assert all(word in out.getvalue() for word in ("outbox: nothing", WEIGH, "ValueError", "parked: nothing"))


@pytest.mark.django_db(databases=all_aliases(), transaction=True)
def test_draining_relays_and_retries_until_nothing_waits(handle, place):  # noqa: F811
    handle()
    send(parcel_in(LEFT), place, 1, 2, 3)
    assert events("drain", "--seconds", "20") == (0, {"waiting": 0})
    assert handled(place) == [1, 2, 3]
