"""Whether a context that lives elsewhere is still understood: by the methods that are called there, and no others."""

import json
from copy import deepcopy

import pytest

from shop.observability.health import OK
from shop.services.contracts import handshake
from shop.services.contracts.describing import described
from shop.services.contracts.finding import Contract
from shop.services.contracts.handshake import contracts_ready, mismatches
from shop.services.transport.http.connections import Answer, NotSent

pytestmark = pytest.mark.once


@pytest.fixture
def ours():
    return json.loads(json.dumps(described(Contract.known("catalog"))))


@pytest.fixture
def theirs(ours):
    return deepcopy(ours)


def faults(ours, theirs, *callers):
    return list(mismatches(ours, theirs, callers=frozenset(callers or ("ordering",))))


def test_the_same_contract_fits_whoever_hosts_it(ours, theirs):
    assert ours == json.loads(json.dumps(described(Contract.of("catalog"))))
    assert faults(ours, theirs) == []


def test_a_method_that_is_not_there_is_named_to_those_who_call_it(ours, theirs):
    del theirs["services"]["CatalogService"]["reserve"]
    assert faults(ours, theirs) == ["CatalogService.reserve: not there"]
    assert faults(ours, theirs, "auth") == []


def test_what_can_not_be_read_is_named(ours, theirs):
    theirs["types"]["Offer"]["properties"]["available"] = {"type": "string"}
    method = theirs["services"]["CatalogService"]["commit"]
    method["arguments"]["properties"]["gift"] = {"type": "boolean"}
    method["arguments"]["required"].append("gift")
    assert sorted(faults(ours, theirs)) == [
        "CatalogService.commit.gift: new, and needed: give it a default",
        "CatalogService.offers ->[].available: was integer, is string",
        "CatalogService.reserve ->[].available: was integer, is string",
    ]


def test_what_is_only_more_or_passed_over_fits(ours, theirs):
    theirs["types"]["Offer"]["properties"]["colour"] = {"type": "string"}
    theirs["services"]["CatalogService"]["tea"] = theirs["services"]["CatalogService"]["offers"]
    ours["services"]["CatalogService"]["offers"]["arguments"]["properties"]["colour"] = {"type": "string"}
    assert faults(ours, theirs) == []


def test_a_caller_that_is_refused_there_is_told(ours, theirs):
    theirs["services"]["CatalogService"]["cancel"]["callers"] = ["auth"]
    assert faults(ours, theirs) == ["CatalogService.cancel: refuses ordering"]


def test_each_caller_that_is_refused_there_is_told(ours, theirs):
    for contract, callers in ((ours, ["auth", "ordering"]), (theirs, ["auth"])):
        contract["services"]["CatalogService"]["cancel"]["callers"] = callers
    assert faults(ours, theirs, "auth", "ordering") == ["CatalogService.cancel: refuses ordering"]


def test_errors_that_are_not_known_here_are_told(ours, theirs):
    theirs["errors"]["OutOfStockError"]["code"] = "sold_out"
    theirs["errors"]["TeaError"] = {"code": "tea", "data": {}}
    theirs["services"]["CatalogService"]["cancel"]["errors"].append("TeaError")
    assert sorted(faults(ours, theirs)) == [
        "CatalogService.cancel: answers tea, which is not known here",
        "CatalogService.commit: answers sold_out, which is not known here",
        "CatalogService.reserve: answers sold_out, which is not known here",
    ]


def test_a_batch_that_is_too_large_there_is_told(ours, theirs):
    theirs["services"]["CatalogService"]["offers"]["max_batch"] = 1
    assert faults(ours, theirs) == ["CatalogService.offers: takes 1 at once, not 1500"]


class There:
    """A context that says its contract."""

    def __init__(self, contract):
        self.contract, self.asked, self.connections = contract, 0, self

    def send(self, *_, **__):
        self.asked += 1
        if self.contract is None:
            raise NotSent("nobody")
        return Answer(status=200, body=json.dumps(self.contract).encode())


@pytest.fixture
def there(settings, monkeypatch, theirs):
    settings.CONTEXTS, settings.CONTEXT_URLS = ["auth", "ordering"], {"catalog": "http://catalog"}
    monkeypatch.setattr(handshake, "_verdicts", {})
    found = There(theirs)
    monkeypatch.setattr(handshake, "target_of", lambda *_: found)
    return found


def test_readiness_shows_it_and_does_not_ask_at_every_look(there):
    assert [contracts_ready() for _ in range(3)] == [{"catalog": OK}] * 3
    assert there.asked == 1


def test_a_mismatch_makes_unfit(there):
    del there.contract["services"]["CatalogService"]["reserve"]
    assert contracts_ready() == {"catalog": "CatalogService.reserve: not there"}


@pytest.mark.parametrize("damage", [{"services": []}, {"types": {}}, {"errors": {"TeaError": 7}}])
def test_what_is_no_contract_makes_nobody_unfit(damage, there):
    there.contract |= damage
    assert contracts_ready() == {"catalog": OK}


def test_who_is_away_makes_nobody_unfit(there):
    there.contract = None
    assert contracts_ready() == {"catalog": OK}
