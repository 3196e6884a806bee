"""No request that the document yields breaks the shop, and no answer is one that the document does not know."""

from contextlib import contextmanager

import pytest

from tests.api.served import ENVIRONMENT, ServedShop
from tests.e2e.shopserver import ShopServer


@contextmanager
def explored(place, **cases):
    """The tally of a run against a server of its own."""
    from tests.api.generated import explore  # takes half a second and 350 modules: loaded by who needs it

    server = ShopServer(place, **ENVIRONMENT)
    try:
        server.start()
        yield explore(ServedShop(server), **cases)
    finally:
        server.remove()


@pytest.fixture(scope="module")
def tally(tmp_path_factory):
    with explored(tmp_path_factory.mktemp("shop"), sound=20, broken=10) as found:
        yield found


def test_nothing_breaks(tally, capsys):
    with capsys.disabled():
        print("\n" + tally.table())
    assert tally.broken == []


def test_nothing_is_undocumented(tally):
    assert tally.undocumented == []


def test_every_operation_is_answered_well(tally):
    assert [label for label, kinds in tally.answers.items() if not kinds["2xx"]] == []
    assert tally.cases >= 1_000


@pytest.mark.evidence
def test_ten_thousand_cases(tmp_path, capsys):
    with explored(tmp_path, sound=190, broken=95) as tally, capsys.disabled():
        print("\n" + tally.table())
    assert tally.broken + tally.undocumented == []
    assert tally.cases >= 10_000
