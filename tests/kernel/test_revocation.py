"""The deny-list of one process: what is on it, from when, until when."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError

from shop.contract import Principal
from shop.gateway import revocation
from shop.gateway.models import RevokedSession
from shop.gateway.revocation import DenyList, RevocationWatch, forget_revoked_sessions, refuse_sessions
from shop.gateway.tokens import LIFETIME, TokenInvalidError, mint, verify
from shop.sharding import home_of
from tests.e2e.people import eventually

HOMES = [home_of("auth"), home_of("catalog")]
pytestmark = pytest.mark.django_db(databases=HOMES)


@pytest.fixture
def deny_list(monkeypatch):
    """One that knows of nobody yet, in the place of the process's own."""
    fresh = DenyList()
    monkeypatch.setattr(revocation, "deny_list", fresh)
    monkeypatch.setattr("shop.gateway.tokens.deny_list", fresh)
    return fresh


def token(session_id):
    return mint(Principal(id="7", role="customer", session_id=session_id))


def test_a_token_that_was_taken_before_is_refused_once_its_sign_in_is_on_the_list(deny_list):
    # given a token that the process has taken, and remembers
    ended, other = token("fam_ended"), token("fam_other")
    assert verify(ended).session_id == "fam_ended"
    # when its sign-in is put on the list, and the process looks
    refuse_sessions("catalog", ["fam_ended"])
    assert verify(ended).session_id == "fam_ended"
    deny_list.look("catalog")
    # then it is refused, and nobody else's
    with pytest.raises(TokenInvalidError, match="ended"):
        verify(ended)
    assert verify(other).session_id == "fam_other"


def test_asking_costs_no_query(deny_list, django_assert_num_queries):
    refuse_sessions("catalog", ["fam_ended"])
    deny_list.look("catalog")
    raw = token("fam_other")
    for home in HOMES:
        with django_assert_num_queries(0, using=home):
            verify(raw)


def test_a_sign_in_is_on_the_list_for_longer_than_its_tokens_live():
    before = datetime.now(UTC)
    refuse_sessions("catalog", ["fam_ended"])
    row = RevokedSession.objects.using("catalog_0").get(session_id="fam_ended")
    assert row.until > before + LIFETIME


def test_being_told_twice_changes_nothing_but_the_time():
    refuse_sessions("catalog", ["fam_a", "fam_b"])
    refuse_sessions("catalog", ["fam_b", "fam_c"])
    rows = RevokedSession.objects.using("catalog_0").order_by("session_id")
    assert [row.session_id for row in rows] == ["fam_a", "fam_b", "fam_c"]


def test_what_is_over_is_forgotten_and_the_rest_stays(deny_list):
    refuse_sessions("catalog", ["fam_old", "fam_new"])
    old = RevokedSession.objects.using("catalog_0").filter(session_id="fam_old")
    old.update(until=datetime.now(UTC) - timedelta(seconds=1))
    deny_list.look("catalog")
    assert ("fam_old" in deny_list, "fam_new" in deny_list) == (False, True)
    assert forget_revoked_sessions("catalog") == 1
    assert not old.exists()


def test_one_home_is_enough_and_one_that_is_away_takes_nothing_off(deny_list, monkeypatch):
    # given a list that only auth's home has
    refuse_sessions("auth", ["fam_ended"])
    deny_list.look("auth")
    deny_list.look("catalog")
    assert "fam_ended" in deny_list
    # when that home is away
    monkeypatch.setattr(revocation, "home_of", _away)
    with pytest.raises(OperationalError):
        deny_list.look("auth")
    # then what was known of it is known
    assert "fam_ended" in deny_list


def _away(_context):
    raise OperationalError("away")


def test_a_watch_goes_on_after_a_home_was_away(monkeypatch):
    # given a home that does not answer at first
    looked = []

    def look(context):
        looked.append(context)
        if looked.count(context) < 3:
            raise OperationalError("away")

    monkeypatch.setattr(revocation.deny_list, "look", look)
    monkeypatch.setattr(revocation, "POLL_SECONDS", 0.01)
    # when a watch runs
    watch = RevocationWatch()
    watch.start()
    # then it asks again, of every context
    eventually(lambda: all(looked.count(each) > 3 for each in ("auth", "catalog", "ordering")))
    watch.stop()
