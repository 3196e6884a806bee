"""The machine runs: shop and model agree after every step, and all comes to a good end. And it sees what is wrong.

The seed is printed; `MACHINE_SEED=… pytest tests/machine` runs the same again. The long run, `-m evidence`, has as many
examples as MACHINE_EXAMPLES says, 1,000 unless it does.
"""

import os
import secrets
from collections import Counter
from collections.abc import Callable

import pytest
from django.conf import settings as django_settings
from django.db.models import Sum
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from contexts.catalog.domain import LineState
from contexts.catalog.services import reservations
from contexts.ordering import domain, services
from contexts.ordering.services import refunding, settling
from tests.machine.machine import Machine
from tests.machine.shop import Shop

pytestmark = pytest.mark.django_db(
    databases=[alias for alias in django_settings.DATABASES if alias != "default"], transaction=True
)
FEW, MANY = 6, int(os.environ.get("MACHINE_EXAMPLES", "1000"))
LONG = settings(
    max_examples=MANY,
    stateful_step_count=40,
    deadline=None,
    derandomize=False,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    print_blob=True,
    suppress_health_check=list(HealthCheck),  # an example takes what forty commands take
)
SHORT = settings(LONG, max_examples=FEW)
UNTIL_SEEN = settings(
    LONG, max_examples=200, phases=[Phase.generate], report_multiple_bugs=False, verbosity=Verbosity.quiet
)


def run(shop: Shop, how: settings, number: int) -> Counter[tuple[str, str]]:
    """Run it; returns how often each step ended how."""
    print(f"\n{how.max_examples} examples x {how.stateful_step_count} steps, MACHINE_SEED={number}")

    class Opened(Machine):
        pass

    Opened.shop, Opened.tally = shop, Counter()
    run_state_machine_as_test(seed(number)(Opened), settings=how)
    for (step, ended), times in sorted(Opened.tally.items()):
        print(f"{times:8,} {step}: {ended}")
    return Opened.tally


def any_seed() -> int:
    return int(os.environ.get("MACHINE_SEED") or secrets.randbits(32))


def test_the_shop_does_what_the_model_says(shop):
    assert run(shop, SHORT, any_seed()).total() > FEW


@pytest.mark.evidence
def test_the_shop_does_what_the_model_says_for_long(shop):
    assert run(shop, LONG, any_seed()).total() > MANY


# ---- what it sees ----------------------------------------------------------------------------------------------


def pieces_are_never_let_go(monkeypatch):
    change = reservations.change_levels

    def forgetful(levels, changes):
        change(levels, {each: what for each, what in changes.items() if what.on_hand or what.reserved > 0})

    monkeypatch.setattr(reservations, "change_levels", forgetful)


def pieces_are_sold_again_by_every_repetition(monkeypatch):
    keep = reservations._set_state
    monkeypatch.setattr(
        reservations, "_set_state", lambda lines, state: None if state == LineState.COMMITTED else keep(lines, state)
    )


def money_goes_back_twice(monkeypatch):
    def all_of_it(payment):
        return payment.events.filter(kind="captured").aggregate(sum=Sum("amount"))["sum"] or 0

    monkeypatch.setattr(refunding, "refundable", all_of_it)


def a_late_capture_is_kept(monkeypatch):
    monkeypatch.setattr(settling, "owe", lambda order, payment, reason: None)


def the_same_news_counts_again(monkeypatch):
    monkeypatch.setattr(domain, "supersedes", lambda new, old: True)


def a_dead_order_keeps_its_pieces(monkeypatch):
    monkeypatch.setattr(services, "release_stock", lambda order_id: None)


PLANTS = [  # each with a seed that comes to it soon; those that lie deep take long
    pytest.param(pieces_are_never_let_go, 1, id="pieces are never let go"),
    pytest.param(pieces_are_sold_again_by_every_repetition, 2, id="pieces are sold again"),
    pytest.param(money_goes_back_twice, 3, id="money goes back twice"),
    pytest.param(a_late_capture_is_kept, 7, id="a late capture is kept", marks=pytest.mark.evidence),
    pytest.param(the_same_news_counts_again, 7, id="news counts again", marks=pytest.mark.evidence),
    pytest.param(a_dead_order_keeps_its_pieces, 7, id="a dead order keeps", marks=pytest.mark.evidence),
]


@pytest.mark.once
@pytest.mark.parametrize(("plant", "number"), PLANTS)
def test_it_sees_that(shop, monkeypatch, plant: Callable[[pytest.MonkeyPatch], None], number: int):
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        run(shop, UNTIL_SEEN, number)
