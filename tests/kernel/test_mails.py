"""A mail from the transaction of its cause to the mail server: once, whatever happens on the way; nothing personal
stays."""

import io
import json
import logging
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from shop.events import wake
from shop.events.publishing import causation
from shop.mail import Letter, letters, store_mail
from shop.mail import sending as mails
from shop.mail.models import Mail
from shop.mail.posting import Post
from shop.mail.sending import HELD, KEPT, forget_mails, send_mails
from shop.observability.figures import Board
from shop.observability.logs import dict_config
from shop.sharding import shard_atomic
from shop.sharding.scope import open_transactions
from tests.kernel.probes import ALIASES, CONTEXT, LEFT, RIGHT, parcel_in
from tests.mail_server import running

pytestmark = [pytest.mark.django_db(databases=ALIASES, transaction=True), pytest.mark.usefixtures("probe_tables")]

KIND = "parcel_packed"
READER = "reader@mail.test"
WORDS = "It weighs {weight} grams."


class Killed(BaseException):
    """What a killed process does from here on: nothing."""


@pytest.fixture(autouse=True)
def writing(monkeypatch):
    """Who writes the letters of these stories; a test may put another one there."""

    def packed(about, facts):
        return Letter(to=READER, subject=f"Parcel {about}", text=WORDS.format(**facts))

    monkeypatch.setitem(letters._writers, f"{CONTEXT}.{KIND}", packed)
    return lambda write: monkeypatch.setitem(letters._writers, f"{CONTEXT}.{KIND}", write)


@pytest.fixture
def server(settings):
    with running() as found:
        settings.MAILERS = found.mailers()
        yield found


@pytest.fixture
def lines():
    """What is logged, as it would be written."""
    config = dict_config("DEBUG")["formatters"]["json"]
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(config.pop("()")(**config))
    logging.getLogger().addHandler(handler)
    yield handler.stream
    logging.getLogger().removeHandler(handler)


def stored(bucket=RIGHT, event="", weight=7, **options):
    """A mail about a new parcel in ``bucket``, as a handler of ``event`` stores it."""
    parcel = parcel_in(bucket)
    token = causation.set(event)
    try:
        with shard_atomic(CONTEXT, parcel.pk):
            return store_mail(KIND, about=parcel.pk, facts={"weight": weight}, **options)
    finally:
        causation.reset(token)


def rows():
    return [row for alias in ALIASES for row in Mail.objects.using(alias)]


def states():
    return [row.state for row in rows()]


def change(**fields):
    """As if time had passed: changes every mail."""
    for row in rows():
        with shard_atomic(CONTEXT, row.pk) as scope:
            Mail.objects.using(scope.alias).filter(pk=row.pk).update(**fields)


def due_again():
    change(due_at=datetime.now(UTC) - timedelta(seconds=1))


# ---- storing


def test_a_mail_is_sent_with_its_words_and_the_row_keeps_none_of_them(server):
    # given a mail in the lowest bucket and one in the highest
    stored(LEFT), stored(RIGHT, weight=9)
    # when they are sent
    assert send_mails(CONTEXT) == 2
    # then the mail server has both
    assert {(each["To"], each.get_content().strip()) for each in server.taken} == {
        (READER, "It weighs 7 grams."),
        (READER, "It weighs 9 grams."),
    }
    assert {each["Auto-Submitted"] for each in server.taken} == {"auto-generated"}
    # and the rows say that, and nothing of what they said or to whom
    assert {(row.state, json.dumps(row.facts), row.reason, row.due_at) for row in rows()} == {("sent", "{}", "", None)}
    # and nothing is left to do
    assert send_mails(CONTEXT) == 0


def test_an_event_makes_one_mail_however_often_it_comes(server):
    parcel = parcel_in(RIGHT)
    causation.set("catalog.packed.v1:1")
    with shard_atomic(CONTEXT, parcel.pk):
        assert [store_mail(KIND, about=parcel.pk, facts={"weight": 7}) for _ in range(3)] == [True, False, False]
    send_mails(CONTEXT)
    with shard_atomic(CONTEXT, parcel.pk):
        assert not store_mail(KIND, about=parcel.pk, facts={"weight": 7})
    causation.set("")
    send_mails(CONTEXT)
    assert len(server.taken) == 1


def test_an_event_that_is_about_two_things_makes_a_mail_about_each(server):
    assert [stored(bucket, event="catalog.packed.v1:2") for bucket in (RIGHT, RIGHT)] == [True, True]
    assert send_mails(CONTEXT) == 2
    assert len(set(server.ids())) == 2


def test_what_has_no_event_makes_a_mail_each_time(server):
    stored(), stored()
    assert send_mails(CONTEXT) == 2
    assert len(set(server.ids())) == 2


def test_no_commit_no_mail(server):
    parcel = parcel_in(RIGHT)
    with pytest.raises(ZeroDivisionError), shard_atomic(CONTEXT, parcel.pk):
        store_mail(KIND, about=parcel.pk, facts={"weight": 7})
        1 / 0  # noqa: B018  what fails
    assert (send_mails(CONTEXT), server.taken) == (0, [])


def test_a_letter_that_nobody_writes_is_an_error_where_it_is_stored():
    parcel = parcel_in(RIGHT)
    with shard_atomic(CONTEXT, parcel.pk), pytest.raises(LookupError):
        store_mail("parcel_lost", about=parcel.pk)


@pytest.mark.parametrize(
    "nobody",
    [lambda *_: None, lambda *_: Letter(to="7@replay.invalid", subject="x", text="x")],
    ids=["gone", "made up"],
)
def test_a_mail_that_nobody_can_get_leaves_nothing(server, writing, nobody):
    stored()
    writing(nobody)
    assert (send_mails(CONTEXT), server.taken, rows()) == (0, [], [])


def test_what_is_more_than_a_round_goes_on_at_once(server, monkeypatch):
    monkeypatch.setattr(mails, "BATCH", 2)
    for _ in range(5):
        stored(RIGHT)
    wake.wait(wake.SLOW_JOBS, CONTEXT, 0)
    rounds = [(send_mails(CONTEXT), wake.wait(wake.SLOW_JOBS, CONTEXT, 0)) for _ in range(3)]
    assert rounds == [(2, True), (2, True), (1, False)]


# ---- once


def test_two_who_send_at_once_share_the_mails(server, in_threads):
    for weight in range(20):
        stored((LEFT, RIGHT)[weight % 2], weight=weight)
    # given two whose lists are made before either begins
    both = Barrier(2)
    first = [True, True]

    def wait():
        if first:
            first.pop()
            both.wait(10)

    server.before_taken = wait
    sent = in_threads(lambda: send_mails(CONTEXT), lambda: send_mails(CONTEXT))
    assert sum(sent) == 20
    assert len(server.taken) == len(set(server.ids())) == 20


def test_killed_after_the_mail_server_has_it_and_before_we_have_noted_that(server, monkeypatch):
    # given somebody who is killed in between
    stored(event="catalog.packed.v1:7")

    def die(*_, **__):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(mails, "_end", die)
        with pytest.raises(Killed):
            send_mails(CONTEXT)
    # then nobody sends it while he could still be alive
    assert send_mails(CONTEXT) == 0
    assert states() == ["waiting"]
    assert timedelta(0) < rows()[0].due_at - datetime.now(UTC) <= HELD
    # and afterwards it comes once more under the same ID, and never again
    due_again()
    assert send_mails(CONTEXT) == 1
    due = send_mails(CONTEXT)
    assert (due, len(server.taken), len(set(server.ids()))) == (0, 2, 1)


def test_killed_before_the_mail_server_has_it(server, writing):
    stored()

    def die(*_):
        raise Killed

    before = letters.writer_of(f"{CONTEXT}.{KIND}")
    writing(die)
    with pytest.raises(Killed):
        send_mails(CONTEXT)
    writing(before)
    due_again()
    assert send_mails(CONTEXT) == 1
    assert len(server.taken) == 1


def test_a_connection_that_breaks_when_the_mail_is_taken_repeats_it_under_its_id(server):
    stored()
    server.hangs_up = True
    assert send_mails(CONTEXT) == 0
    assert [(row.state, row.reason) for row in rows()] == [("waiting", "SMTPServerDisconnected")]
    server.hangs_up = False
    due_again()
    assert send_mails(CONTEXT) == 1
    assert len(set(server.ids())) == 1


@pytest.mark.parametrize("comes_back_to", ["a letter", "an error"])
def test_who_was_frozen_for_too_long_sends_nothing_and_notes_nothing(server, writing, comes_back_to):
    stored()
    before = letters.writer_of(f"{CONTEXT}.{KIND}")

    def freeze(about, facts):
        """Meanwhile the mail is due again, and somebody else sends it."""
        writing(before)
        due_again()
        assert send_mails(CONTEXT) == 1
        frozen.due_at = datetime.now(UTC)
        if comes_back_to == "an error":
            raise ValueError
        return before(about, facts)

    [frozen] = rows()
    writing(freeze)
    with Post() as post:
        assert mails._send(CONTEXT, post, frozen) == 0
    assert [(row.state, row.due_at) for row in rows()] == [("sent", None)]
    assert len(server.taken) == 1


def test_no_transaction_is_open_while_somebody_is_asked(server, writing, monkeypatch):
    open_ones = []
    before, send = letters.writer_of(f"{CONTEXT}.{KIND}"), Post.send

    def look(*asked):
        open_ones.append(open_transactions())
        return (send if isinstance(asked[0], Post) else before)(*asked)

    writing(look)
    monkeypatch.setattr(Post, "send", look)
    stored()
    assert send_mails(CONTEXT) == 1
    assert open_ones == [[], []]


# ---- what goes wrong


def test_while_the_mail_server_is_away_mails_wait_and_go_out_when_it_is_back(settings, lines):
    with running() as server:
        settings.MAILERS = server.mailers()
    # given a mail server that is not there, and mails
    stored(LEFT), stored(RIGHT), stored(RIGHT)
    waits = []
    for _ in range(3):
        assert send_mails(CONTEXT) == 0
        waits.append(min(row.due_at for row in rows()) - datetime.now(UTC))
        assert {(row.state, row.reason) for row in rows()} == {("waiting", "ConnectionRefusedError")}
        due_again()
    # then each wait is about twice the one before, and no address was told
    assert [round(wait / timedelta(seconds=5)) for wait in waits] == [1, 2, 4]
    assert READER not in lines.getvalue()
    # when it is back, then all go out, once
    with running(server.port) as back:
        assert send_mails(CONTEXT) == 3
        assert len(set(back.ids())) == 3


def test_who_does_not_let_us_in_is_asked_once_in_a_round(server):
    for _ in range(5):
        stored()
    server.replies[""] = "554 not now"
    assert send_mails(CONTEXT) == 0
    assert server.connections == 1
    assert {row.reason for row in rows()} == {"SMTPConnectError: 554"}


def test_what_waited_too_long_is_dead_with_the_reason_and_counted(server):
    stored(lives=timedelta(hours=1))
    server.replies["MAIL"] = "451 later"
    send_mails(CONTEXT)
    change(due_at=datetime.now(UTC), give_up_at=datetime.now(UTC))
    assert send_mails(CONTEXT) == 0
    [row] = rows()
    assert (row.state, row.reason, row.due_at, row.facts) == ("dead", "SMTPSenderRefused: 451", None, {})
    board = Board()
    board.read()
    [shown] = [family for family in board.collect() if family.name == "shop_mails"]
    found = {(sample.labels["database"], sample.labels["state"]): sample.value for sample in shown.samples}
    assert (found[ALIASES[-1], "dead"], found[ALIASES[-1], "waiting"]) == (1, 0)


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (("RCPT", "550 5.1.1 <reader@mail.test> is nobody here"), "dead", "SMTPRecipientsRefused: 550"),
        (("RCPT", "450 4.2.0 <reader@mail.test> come again"), "waiting", "SMTPRecipientsRefused: 450"),
        ((".", "554 5.7.1 no such words to reader@mail.test"), "dead", "SMTPDataError: 554"),
        ((".", "451 4.3.0 not now"), "waiting", "SMTPDataError: 451"),
        (("DATA", "503 5.5.1 no"), "dead", "SMTPDataError: 503"),
        (("MAIL", "550 5.7.1 who are you?"), "waiting", "SMTPSenderRefused: 550"),
        (("MAIL", "530 5.7.0 sign in first"), "waiting", "SMTPSenderRefused: 530"),
        (("MAIL", "421 4.3.2 closing"), "waiting", "SMTPSenderRefused: 421"),
    ],
)
def test_a_refusal_for_good_is_the_end_and_any_other_is_not(server, lines, answer, state, reason):
    stored()
    server.replies.update([answer])
    assert send_mails(CONTEXT) == 0
    # then staff see why, and nobody sees to whom
    assert [(row.state, row.reason) for row in rows()] == [(state, reason)]
    assert READER not in lines.getvalue()
    # and the next mail is not held up by it
    server.replies.clear()
    stored()
    assert send_mails(CONTEXT) == 1


def test_a_password_that_is_wrong_kills_no_mail(server, settings):
    settings.MAILERS = server.mailers(username="shop", password="secret")
    server.replies |= {"EHLO": "250-here\r\n250 AUTH PLAIN", "AUTH": "535 5.7.8 no"}
    stored()
    send_mails(CONTEXT)
    assert [(row.state, row.reason) for row in rows()] == [("waiting", "SMTPAuthenticationError: 535")]


def test_an_address_that_mail_has_no_way_to_is_refused_at_once(server, writing, lines):
    stored()
    writing(lambda *_: Letter(to="grüße@mail.test", subject="x", text="x"))
    send_mails(CONTEXT)
    assert [(row.state, row.reason) for row in rows()] == [("dead", "no address to send to")]
    assert "mail.test" not in lines.getvalue()


def test_a_letter_that_can_not_be_written_holds_up_no_other(server, writing, lines):
    stored(weight=1), stored(weight=2), stored(weight=3)
    before = letters.writer_of(f"{CONTEXT}.{KIND}")

    def write(about, facts):
        if facts["weight"] == 2:
            raise ValueError(f"can't write to {READER}")
        return before(about, facts)

    writing(write)
    assert send_mails(CONTEXT) == 2
    assert sorted((row.state, row.reason) for row in rows())[-1] == ("waiting", "ValueError")
    assert '"mail_put_off"' in lines.getvalue()
    assert READER not in lines.getvalue()


def test_a_letter_is_plain_text_from_a_template_of_the_project_and_line_breaks_in_its_subject_make_no_header(settings):
    folder = settings.SHOP_HOME / "templates" / "tests"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mail_subject.txt").write_text("About {{ name }}\n")
    (folder / "mail.txt").write_text("Dear {{ name }}\n")
    found = letters.render("tests/mail", to=READER, name="Tea\nBcc: eve@mail.test <b>")
    assert found.subject == "About Tea Bcc: eve@mail.test <b>"
    assert "<b>" in found.text


# ---- afterwards


def test_what_ended_a_month_ago_is_forgotten_and_what_waits_is_not(server):
    stored(LEFT), stored(RIGHT)
    send_mails(CONTEXT)
    assert forget_mails(CONTEXT) == 0
    change(ended_at=datetime.now(UTC) - KEPT - timedelta(minutes=1))
    stored(RIGHT)
    assert forget_mails(CONTEXT) == 2
    assert states() == ["waiting"]
