"""The admin's pages of events: those with a role see what stands on every shard, superusers do something about it."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from shop.events import standing
from shop.events.broker.parked import park
from shop.events.models import InboxEntry, OutboxEvent, ParkedMessage
from shop.sharding import aliases_of, home_of, hosted_contexts, new_id, shard_atomic
from shop.staff.events import acts
from shop.staff.models import StaffUser

pytestmark = pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])

SHARDS = [aliases_of("ordering")[0], aliases_of("ordering")[-1]]
HOME = home_of(hosted_contexts()[0])
TOPIC, HANDLER = "ordering.order_placed.v1", "ordering.commit_stock_on_order_placed"
SECRET = "a-name-that-nobody-may-see"
OVERVIEW = reverse("events:overview")
LISTS = [reverse("events:list", args=[name]) for name in ("failed", "published", "parked")]
ACTS = [reverse("events:act", args=[name]) for name in ("requeue", "skip", "replay", "take", "discard")]


@pytest.fixture
def root(client):
    """Signed in as a superuser."""
    client.force_login(StaffUser.objects.create_superuser("root@example.com", "a password of some length"))
    return client


@pytest.fixture
def reader(client):
    """Signed in with the least role there is."""
    account = StaffUser.objects.create_user("reader@example.com", "a password of some length")
    account.groups.add(Group.objects.get(name="read_only"))
    client.force_login(account)
    return client


def published(bucket, state, seq=1):
    """An event of an order in ``bucket``; its ID."""
    key = new_id("ordering", bucket=bucket)
    with shard_atomic("ordering", key) as scope:
        row = OutboxEvent(
            id=new_id("ordering", near=key),
            topic=TOPIC,
            key=str(key),
            shard_key=key,
            event_seq=seq,
            payload={"name": SECRET},
            state=state,
            created_at=datetime.now(UTC),
            available_at=datetime.now(UTC),
        )
        row.save(using=scope.alias, force_insert=True)
    return row.pk


def failed(bucket, state, reason="ValueError"):
    """An entry for an event that was handed over; the event's ID."""
    event = published(bucket, "handed_over")
    with shard_atomic("ordering", event) as scope:
        envelope = {"topic": TOPIC, "payload": {"name": SECRET}}
        told = {"handler": HANDLER, "event_id": event, "key": str(event), "event_seq": 1, "reason": reason}
        made = {"id": new_id("ordering", near=event), "created_at": datetime.now(UTC), "attempts": 5}
        InboxEntry(state=state, envelope=envelope, **told, **made).save(using=scope.alias, force_insert=True)
    return event


@pytest.fixture
def dead():
    """IDs of an event that is dead on the first shard, and of one on the last."""
    return [failed(0, "dead"), failed(4095, "dead")]


@pytest.fixture
def waiting():
    """IDs of an event that is not handed over on the first shard, and of one on the last."""
    return [published(0, "pending"), published(4095, "pending")]


@pytest.fixture
def parked():
    """Digest of a message that nobody believes."""
    park({"version": 9, "events": SECRET}, topic="", reason="unknown version")
    return ParkedMessage.objects.using(HOME).get().digest


def fates(events, model=InboxEntry, name="event_id"):
    rows = [row for alias in SHARDS for row in model.objects.using(alias).filter(**{f"{name}__in": events})]
    return sorted((row.state, row.reason) for row in {row.pk: row for row in rows}.values())


def act(client, name, **sent):
    return client.post(reverse("events:act", args=[name]), sent)


def text(answer):
    """What somebody reads."""
    return " ".join(re.sub(r"<[^>]*>", " ", answer.content.decode()).split())


def audit():
    return [(entry.user.email, entry.change_message) for entry in LogEntry.objects.order_by("pk")]


# ---- looking -------------------------------------------------------------------------------------------------


def test_the_first_page_of_the_admin_leads_there(reader):
    assert f'href="{OVERVIEW}"' in reader.get(reverse("admin:index")).content.decode()


def test_what_stands_is_counted_by_database_topic_and_handler(reader, dead, waiting, parked):
    shown = text(reader.get(OVERVIEW))
    for alias in SHARDS:
        assert f"{alias} {HANDLER} dead ValueError" in shown
        assert f"{alias} {TOPIC}" in shown
    assert "unknown version 1" in shown


def test_a_list_shows_the_rows_of_all_shards_each_once(reader, dead, waiting, parked):
    for where, ids in zip(LISTS, (dead, waiting, [parked]), strict=True):
        page = reader.get(where)
        assert sorted(row.cells[0] for row in page.context["rows"]) == sorted(ids)
        assert all(str(each) in text(page) for each in ids)


def test_a_list_leads_to_what_was_given_up_and_to_what_was_handed_over(reader, dead, waiting):
    given_up = [failed(0, "skipped"), published(4095, "skipped")]
    for where, left in zip(LISTS[:2], given_up, strict=True):
        assert 'href="?state=skipped"' in reader.get(where).content.decode()
        assert [row.cells[0] for row in reader.get(where, {"state": "skipped"}).context["rows"]] == [left]
    shown = reader.get(LISTS[1], {"state": "handed_over"}).context["rows"]
    assert {*dead} < {row.cells[0] for row in shown}


def test_the_overview_leads_to_lists_of_what_it_counts(reader, dead, waiting, parked):
    failed(0, "retry")
    links = re.findall(r'href="(/admin/events/list/[^"?]*\?[^"]*)"', reader.get(OVERVIEW).content.decode())
    assert len(links) == len(set(SHARDS)) * 2 + 1 + 1
    for link in links:
        page = reader.get(link.replace("&amp;", "&"))
        assert len(page.context["rows"]) == (1 if len(set(SHARDS)) == 2 or "parked" in link or "retry" in link else 2)


@pytest.mark.parametrize("asked", ["?database=nowhere", "?handler=nobody", "?state=%00", "?p=nine", "?key=%F0%9F"])
def test_a_list_takes_whatever_is_asked(reader, dead, asked):
    assert reader.get(LISTS[0] + asked).status_code == 200


def test_every_row_leads_to_its_own_page(reader, dead, parked):
    for where in (LISTS[0], LISTS[2]):
        for row in reader.get(where).context["rows"]:
            page = reader.get(row.address)
            assert (page.status_code, page.context["original"]._state.db) == (200, row.database)


def test_what_events_say_is_on_no_page(reader, dead, waiting, parked):
    pages = [OVERVIEW, *LISTS, *(row.address for where in LISTS for row in reader.get(where).context["rows"])]
    assert len(pages) == 1 + 3 + 5
    assert [page for page in pages if SECRET in reader.get(page).content.decode()] == []


def test_a_database_that_does_not_answer_is_named_and_the_others_are_shown(reader, dead, monkeypatch):
    read = standing._failed

    def silent(alias):
        if alias == "auth_0":
            raise OperationalError
        return read(alias)

    monkeypatch.setattr(standing, "_failed", silent)
    shown = text(reader.get(OVERVIEW))
    assert "auth_0 does not answer" in shown
    assert HANDLER in shown


def test_a_handler_that_is_gone_is_named(reader, dead, monkeypatch):
    monkeypatch.setattr("shop.events.handlers._handlers", {})
    assert f"{HANDLER} is no handler any more" in text(reader.get(OVERVIEW))


# ---- who may -------------------------------------------------------------------------------------------------


def test_nobody_comes_in_without_signing_in(client):
    for page in (OVERVIEW, *LISTS, *ACTS):
        assert client.get(page)["Location"].startswith("/admin/login/")


def test_an_account_without_a_role_sees_nothing(client):
    client.force_login(StaffUser.objects.create_user("nobody@example.com", "a password of some length"))
    assert {client.get(page).status_code for page in (OVERVIEW, *LISTS, *ACTS)} == {403}


@pytest.mark.parametrize("role", ["read_only", "catalog_editor", "order_desk"])
def test_who_is_no_superuser_is_offered_nothing_and_can_do_nothing(reader, role, dead):
    account = StaffUser.objects.get(email="reader@example.com")
    account.groups.set([Group.objects.get(name=role)])
    shown = "".join(reader.get(page).content.decode() for page in (OVERVIEW, *LISTS))
    assert [where for where in ACTS if where in shown] == []
    assert 'type="checkbox"' not in shown
    for where in ACTS:
        assert reader.get(where).status_code == 403
        assert reader.post(where, {"topic": TOPIC, "confirmed": "yes", "reason": "why"}).status_code == 403
    assert (fates(dead), audit()) == ([("dead", "ValueError")] * 2, [])


def test_a_form_from_elsewhere_is_refused(root, dead):
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(StaffUser.objects.get(email="root@example.com"))
    assert act(careful, "requeue", topic=TOPIC, confirmed="yes").status_code == 403
    assert fates(dead) == [("dead", "ValueError")] * 2


@pytest.mark.parametrize("where", [OVERVIEW, *LISTS])
def test_pages_to_look_at_take_no_post(root, where):
    assert root.post(where).status_code == 405


def test_nothing_is_done_by_a_link(root, dead):
    for where in ACTS:
        page = root.get(where, {"topic": TOPIC, "handler": HANDLER, "confirmed": "yes", "reason": "why"})
        assert page.status_code == 200
    assert (fates(dead), audit()) == ([("dead", "ValueError")] * 2, [])


# ---- doing ---------------------------------------------------------------------------------------------------


def test_ticked_entries_are_tried_again_when_that_is_confirmed(root, dead):
    other = failed(0, "dead")
    boxes = re.findall(r'name="entry" value="([^"]*)"', root.get(LISTS[0]).content.decode())
    ticked = [box for box in boxes if int(box.split()[0]) in dead]
    # when they are ticked
    page = act(root, "requeue", entry=ticked)
    assert "Try again?" in text(page)
    assert page.context["total"] == 2
    assert (fates(dead), audit()) == ([("dead", "ValueError")] * 2, [])
    # and the page that asks is sent as it is
    sent = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.content.decode())
    fields = {name: [value for key, value in sent if key == name] for name, _ in sent}
    answer = root.post(ACTS[0], fields, follow=True)
    assert "Try again: 2 requeued." in text(answer)
    assert (fates(dead), fates([other])) == ([("retry", "ValueError")] * 2, [("dead", "ValueError")])
    [(who, what)] = audit()
    assert who == "root@example.com"
    assert all(str(each) in what for each in dead)
    assert what.endswith("2 requeued")


def test_the_overview_leads_to_what_can_be_done_about_all_that_is_so(root, dead, parked):
    links = re.findall(r'href="(/admin/events/(?:requeue|discard)/\?[^"]*)"', root.get(OVERVIEW).content.decode())
    assert set(links) == {f"{ACTS[0]}?handler={HANDLER}", f"{ACTS[4]}?parked_for=unknown+version"}
    for link in links:
        form = root.get(link).context["form"]
        page = root.post(link, {name: value for name, value in form.initial.items() if name in form.fields})
        assert page.context["total"] == (2 if "requeue" in link else 1)


def test_what_is_given_up_needs_a_reason(root, dead, waiting):
    sent = {"topic": TOPIC, "confirmed": "yes"}
    assert "This field is required." in text(act(root, "skip", **sent))
    assert "at most 200" in text(act(root, "skip", reason="x" * 201, **sent))
    assert (fates(dead), audit()) == ([("dead", "ValueError")] * 2, [])
    # when there is one
    act(root, "skip", reason="lost for good", **sent)
    assert fates(dead) == [("skipped", "lost for good")] * 2
    assert fates(waiting, OutboxEvent, "pk") == [("skipped", "lost for good")] * 2
    assert audit() == [("root@example.com", f"skip: topic {TOPIC}; reason: lost for good; 4 skipped")]


def test_a_ticked_event_is_given_up_without_the_others(root, waiting):
    act(root, "skip", event=[f"{waiting[0]} {TOPIC}"], reason="by mistake", confirmed="yes")
    assert fates(waiting, OutboxEvent, "pk") == [("pending", ""), ("skipped", "by mistake")]


def test_events_are_handed_over_again_by_topic_and_time_and_for_one_handler(root, dead):
    begin = datetime.now(UTC).replace(hour=0, minute=0).isoformat()
    act(root, "replay", topic=TOPIC, since=begin, handler=HANDLER, confirmed="yes")
    assert fates(dead) == [("retry", "ValueError")] * 2
    assert {state for state, _ in fates(dead, OutboxEvent, "pk")} == {"handed_over"}
    act(root, "replay", topic=TOPIC, since=begin, confirmed="yes")
    assert {state for state, _ in fates(dead, OutboxEvent, "pk")} == {"pending"}
    assert [what.rpartition("; ")[2] for _, what in audit()] == ["2 replayed", "2 replayed"]
    assert f"topic {TOPIC} handler {HANDLER} since {begin[:10]}" in audit()[0][1]


def test_a_parked_message_is_thrown_away_with_a_reason(root, parked):
    assert act(root, "discard", message=[parked], confirmed="yes").status_code == 200
    assert ParkedMessage.objects.using(HOME).count() == 1
    act(root, "discard", message=[parked], confirmed="yes", reason="not ours")
    assert ParkedMessage.objects.using(HOME).count() == 0
    assert audit() == [("root@example.com", f"discard: messages {parked}; reason: not ours; 1 discarded")]


def test_a_message_that_is_still_not_believed_stays_parked(root, parked):
    answer = root.post(ACTS[3], {"message": parked, "confirmed": "yes"}, follow=True)
    assert "0 taken, 1 still not believed" in text(answer)
    assert ParkedMessage.objects.using(HOME).count() == 1


def test_who_breaks_off_in_the_middle_is_in_the_audit(root, dead, monkeypatch):
    def away(*_, **__):
        raise OperationalError

    monkeypatch.setattr(acts, "requeue", away)
    root.raise_request_exception = False
    assert act(root, "requeue", topic=TOPIC, confirmed="yes").status_code >= 500
    assert audit() == [("root@example.com", f"requeue: topic {TOPIC}; begun")]


def test_the_audit_is_shown_and_can_not_be_changed(root, reader, dead):
    root.force_login(StaffUser.objects.get(email="root@example.com"))
    act(root, "requeue", topic=TOPIC, confirmed="yes")
    entry = LogEntry.objects.get()
    reader.force_login(StaffUser.objects.get(email="reader@example.com"))
    page = reverse("admin:admin_logentry_change", args=[entry.pk])
    assert "2 requeued" in text(reader.get(page))
    assert reader.post(page, {"change_message": "nothing"}).status_code == 403


@pytest.mark.parametrize(
    ("name", "sent", "words"),
    [
        ("requeue", {}, "Say which"),
        ("skip", {}, "Say which"),
        ("skip", {"handler": HANDLER}, "Say which"),
        ("replay", {}, "Say which"),
        ("discard", {}, "Say which"),
        ("take", {}, "Say which"),
        ("requeue", {"events": "one"}, "one is no event"),
        ("requeue", {"events": str(2**63)}, "is no event"),
        ("requeue", {"events": "9" * 5_000}, "is no event"),
        ("requeue", {"since": "0001-01-01T00:00+14:00"}, "is no moment of any year"),
        ("requeue", {"events": " ".join(["1"] * 201)}, "200 at most"),
        ("requeue", {"entry": ["1 h"] * 201}, "200 at most"),
        ("requeue", {"entry": ["1"]}, "has no name"),
        ("requeue", {"entry": ["1 a\0b"]}, "has no name"),
        ("requeue", {"entry": ["x h"]}, "x is no event"),
        ("requeue", {"since": "yesterday"}, "valid date"),
        ("requeue", {"topic": "x" * 121}, "at most 120"),
        ("requeue", {"topic": "a\0b"}, "Null characters"),
        ("requeue", {"topic": "nobody.tells_this.v1"}, "Nothing is like that"),
        ("take", {"message": ["%"]}, "no message"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_done(root, dead, name, sent, words):
    answer = act(root, name, confirmed="yes", reason="why", **sent)
    assert (answer.status_code, audit()) == (400, [])
    assert words in text(answer)
    assert fates(dead) == [("dead", "ValueError")] * 2


def test_too_much_at_once_is_for_the_command(root, dead, monkeypatch):
    monkeypatch.setitem(acts.ACTS, "requeue", replace(acts.ACTS["requeue"], most=1))
    assert "More than 1: narrow it down." in text(act(root, "requeue", topic=TOPIC, confirmed="yes"))
    assert fates(dead) == [("dead", "ValueError")] * 2


@pytest.mark.parametrize("page", ["/admin/events/nothing/", "/admin/events/list/nothing/"])
def test_what_is_not_there_is_not_found(root, page):
    assert root.get(page).status_code == 404
