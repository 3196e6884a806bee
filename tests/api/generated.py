"""Requests made from the served document, sent by one caller after the other; every answer is held against it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count, cycle
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from contexts.ordering.services.providers.fake import SIGNATURE
from contexts.ordering.tests.webhooks import signature
from tests.api.served import WEBHOOK_SECRET, Caller, ServedShop, make_known, make_world
from tests.api.tally import SEED, Tally
from tests.documented import undocumented
from tests.security.operations import operations
from tests.security.world import World

type Known = dict[str, list[Any]]

KEY = "Idempotency-Key"
WEBHOOKS = "POST /api/v1/ordering/payments/webhooks/{provider}"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
SETTINGS = settings(database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
MOSTLY = st.sampled_from((True, True, True, False))
ORDER = ("GET", "PUT", "POST", "PATCH", "DELETE")
"""What is only read comes first, what goes away goes last."""
LATE = ("cancel", "deliver", "revoke", "/me")
"""What leaves less to do to an order, a session, an account."""
LAST = "DELETE /api/v1/auth/me"
"""Nobody signs in again whom that has erased."""


class Signed(requests.auth.AuthBase):
    """Signs what is sent as the fake provider does."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        assert isinstance(body, bytes | str)
        request.headers[SIGNATURE] = signature(body.encode() if isinstance(body, str) else body, secret=WEBHOOK_SECRET)
        return request


class Explorer:
    """Sends cases and keeps the tally."""

    def __init__(self, shop: ServedShop, tally: Tally, session: requests.Session) -> None:
        self.shop, self.tally, self._session = shop, tally, session
        self.schema = schemathesis.openapi.from_url(f"{shop.url}/api/v1/openapi.json")
        self.schema.config.generation.update(with_security_parameters=False)  # tokens are the callers' business
        self._keys = count(1)

    def operations(self) -> list[Any]:
        found = [each.ok() for each in self.schema.get_all_operations() if isinstance(each, Ok)]
        for each in found:
            self.tally.expect(each.label)
        return sorted(found, key=lambda each: (*_turn(each.method.upper(), each.path), each.label))

    def send(self, case: Case, caller: str, token: str, *, signed: bool = False) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else None
        options: dict[str, Any] = {"auth": Signed()} if signed else {}
        response = case.call(session=self._session, headers=headers, timeout=30, **options)
        self.tally.count(case.operation.label, caller, response.status_code, response.content)
        self.tally.undocumented += [f"{case.operation.label} by {caller}: {each}" for each in _faults(case, response)]

    def good_requests(self, world: World) -> None:
        """Every operation gets a request that must succeed."""
        good = {str(each).replace("<", "{").replace(">", "}"): each for each in operations()}
        for each in self.operations():
            operation = good.get(each.label)
            if operation is None:  # the keys, which are in no route table
                self.send(each.Case(), "good", "")
                continue
            wanted = operation.good(world)
            query = dict(pair.split("=") for pair in wanted.query.lstrip("?").split("&") if pair)
            case = each.Case(path_parameters=wanted.path, query=query, headers={KEY: self.key()})
            if wanted.body is not None:
                case.body, case.media_type = wanted.body, "application/json"
            self.send(case, "good", operation.caller(world), signed=wanted.signed)

    def key(self) -> str:
        return f"case-{next(self._keys)}"

    def explore(self, callers: Sequence[Caller], known: Known, *, sound: int, broken: int) -> None:
        """Cases of every operation: so many that are as the document asks, so many that are not, by each in turn."""
        for each in self.operations():
            if each.label == LAST:
                for caller in callers:
                    caller.renew()
            roles = each.definition.raw.get("x-roles", [])
            in_turn = [*callers, *[caller for caller in callers if caller.may(roles)] * 3]
            self._run(each.as_strategy(GenerationMode.POSITIVE), in_turn, known, sound)
            with suppress(Unsatisfiable):  # nothing can be wrong where nothing is taken, or anything
                self._run(each.as_strategy(GenerationMode.NEGATIVE), in_turn, known, broken)

    def _run(self, cases: st.SearchStrategy[Case], callers: Sequence[Caller], known: Known, examples: int) -> None:
        in_turn = cycle(callers)

        @seed(SEED)
        @settings(SETTINGS, max_examples=examples)
        @given(cases, st.data())
        def run(case: Case, data: st.DataObject) -> None:
            caller = next(in_turn)
            if data.draw(MOSTLY):
                self._make_likely(case, known, data.draw)
            signed = case.operation.label == WEBHOOKS and data.draw(MOSTLY)
            self.send(case, caller.name, caller.token, signed=signed)

        run()

    def _make_likely(self, case: Case, known: Known, draw: Callable[..., Any]) -> None:
        """Put what means something here in place of what only has the right form, and leave what has a wrong one."""
        if KEY in case.headers:
            case.headers[KEY] = self.key()
        case.path_parameters = _likely("", case.path_parameters or {}, known, draw)
        if case.meta and case.meta.generation.mode is GenerationMode.POSITIVE:
            query = dict(case.query or {})
            if draw(MOSTLY):
                query.pop("cursor", None)  # one of another list is refused, whatever else is asked
            case.query = _likely("", query, known, draw)
            case.body = _likely("", case.body, known, draw)


def _turn(method: str, path: str) -> tuple[int, bool]:
    return ORDER.index(method), path.endswith(LATE)


def _likely(name: str, value: Any, known: Known, draw: Callable[..., Any]) -> Any:
    match value:
        case _ if name in known:
            return draw(st.sampled_from(known[name]))
        case dict():
            return {key: _likely(key, inner, known, draw) for key, inner in value.items()}
        case list():
            return [_likely(name, inner, known, draw) for inner in value]
        case str():
            return "".join(letter for letter in value if letter.isprintable()) or "Ada"
        case float() if value.is_integer():
            return int(value)
    return value


def _faults(case: Case, response: Any) -> Iterator[str]:
    # what a provider has signed is stored, whatever it says
    checks = [each for each in CHECKS if each is not negative_data_rejection or case.operation.label != WEBHOOKS]
    try:
        case.validate_response(response, checks=checks)
    except FailureGroup as failures:
        yield f"{failures}"
    headers = {name: values[0] for name, values in response.headers.items()}
    yield from undocumented(
        case.method, urlsplit(response.request.url).path, response.status_code, headers, response.content
    )


def explore(shop: ServedShop, *, sound: int, broken: int) -> Tally:
    """A good request of every operation, then cases by everybody."""
    tally = Tally()
    with requests.Session() as session:
        explorer = Explorer(shop, tally, session)
        explorer.good_requests(make_world(shop))
        customer = shop.register("edsger")
        callers = [Caller(shop, "nobody"), customer, shop.owner, *shop.desks()]
        explorer.explore(callers, make_known(shop, customer), sound=sound, broken=broken)
    return tally
