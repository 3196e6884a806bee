"""What ordering's tests begin with: a catalog that is none, a signed-in customer, an API to call."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from contexts.catalog.contract import CatalogService
from contexts.ordering.tests.books import Books, settle_everything
from contexts.ordering.tests.fakes import FakeCatalog
from shop.contract import Principal
from shop.services import substitute
from shop.sharding.ids import compose
from shop.sharding.public_ids import public_id
from tests.plugin import bearer

ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "12 St James's Square",
    "city": "London",
    "postal_code": "SW1Y 4JH",
    "country": "GB",
}
TEAPOT, SPOON = (compose(bucket=bucket, tick=1, worker=0) for bucket in (7, 4000))


@pytest.fixture(autouse=True)
def catalog() -> Iterator[FakeCatalog]:
    fake = FakeCatalog()
    fake.stock(TEAPOT, 10)
    fake.stock(SPOON, 10, price=250)
    with substitute(CatalogService, fake):
        yield fake


@pytest.fixture(autouse=True)
def books(request: pytest.FixtureRequest, _django_db_marker: None) -> Iterator[Books | None]:
    """The provider's books agree with ours to the cent after every test, whatever happened in it."""
    if request.node.get_closest_marker("django_db") is None:
        yield None
        return
    found = Books()
    yield found
    settle_everything()
    if not found.open_for and (differences := found.differences()):
        pytest.fail("\n".join(differences))


class Api:
    """Calls operations of ordering as one caller."""

    def __init__(self, caller: Principal) -> None:
        self.caller = caller
        self._client = Client()

    def get(self, path: str) -> Any:
        headers: Any = bearer(self.caller)
        return self._client.get(f"/api/v1/ordering/{path}", **headers)

    def post(self, path: str, body: Any, key: str | None = None) -> Any:
        headers: Any = {**bearer(self.caller), "HTTP_IDEMPOTENCY_KEY": key or str(uuid.uuid4())}
        return self._client.post(
            f"/api/v1/ordering/{path}", json.dumps(body), content_type="application/json", **headers
        )

    def put(self, variant: int, quantity: int) -> Any:
        headers: Any = bearer(self.caller)
        path = f"/api/v1/ordering/cart/lines/{public_id('var', variant)}"
        return self._client.put(path, json.dumps({"quantity": quantity}), content_type="application/json", **headers)

    def delete(self, path: str) -> Any:
        headers: Any = bearer(self.caller)
        return self._client.delete(f"/api/v1/ordering/{path}", **headers)

    def checkout(self, key: str | None = None, **more: Any) -> Any:
        return self.post("cart/checkout", {"shipping_address": ADDRESS, **more}, key)

    def order(self, *lines: tuple[int, int], key: str | None = None, **more: Any) -> Any:
        return self.post("orders", order_body(*lines, **more), key)

    def pay(self, order: Any, token: str = "tok_ok", key: str | None = None) -> Any:
        return self.post(f"orders/{order['id']}/payments", {"provider": "fake", "token": token}, key)


def order_body(*lines: tuple[int, int], **more: Any) -> dict[str, Any]:
    wanted = [{"variant_id": public_id("var", variant), "quantity": pieces} for variant, pieces in lines]
    return {"lines": wanted, "shipping_address": ADDRESS, **more}


@pytest.fixture
def api(customer: Principal) -> Api:
    return Api(customer)
