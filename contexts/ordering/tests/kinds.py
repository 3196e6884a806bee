"""Orders of every kind: unpaid or paid, on their way, arrived, dead, given back, paid when it was too late."""

from typing import Any

from contexts.ordering import services
from contexts.ordering.domain import AttemptStatus
from contexts.ordering.models import WebhookInbox
from contexts.ordering.services.providers.fake import FakeProvider
from contexts.ordering.tests.books import delivered_long_ago, make_due, overdue, payment_of, settle_everything
from contexts.ordering.tests.conftest import SPOON, TEAPOT, Api
from contexts.ordering.tests.fakes import FakeCatalog
from contexts.ordering.tests.webhooks import event, send
from shop.events.relay import relay
from shop.sharding import aliases_of
from shop.sharding.public_ids import public_id
from tests.plugin import make_principal


class Kinds:
    """Makes an order on each shard, pays it and takes it further; what it tells is handed over."""

    def __init__(self, catalog: FakeCatalog) -> None:
        self.desk = Api(make_principal("staff", "order_desk"))
        self.catalog = catalog
        self.customers = [Api(make_principal("customer", bucket=bucket)) for bucket in (7, 4000)]
        for variant in (TEAPOT, SPOON):
            catalog.free[str(variant)] = 1_000

    def orders(self, pay: str = "", then: str = "") -> list[Any]:
        """Two pieces of one variant and one of another each; ``pay`` is a token, ``then`` names steps below."""
        return [self._order(api, pay, then) for api in self.customers]

    def _order(self, api: Api, pay: str, then: str) -> Any:
        order = api.order((TEAPOT, 2), (SPOON, 1)).json()
        if pay:
            api.pay(order, pay)
        for step in then.split():
            getattr(self, step)(order, api)
        self.deliver()
        return order

    def deliver(self) -> None:
        for alias in aliases_of("ordering"):
            while relay(alias):
                pass

    def ship(self, order: Any, _: Api) -> None:
        body = {"carrier": "Royal Mail", "tracking_number": "AB1"}
        assert self.desk.post(f"orders/{order['id']}/shipments", body).status_code == 201

    def arrive(self, order: Any, _: Api) -> None:
        assert self.desk.post(f"orders/{order['id']}/deliver", {}).status_code == 200

    def complete(self, order: Any, _: Api) -> None:
        delivered_long_ago(order)
        services.complete_delivered_orders()

    def refund(self, order: Any, _: Api) -> None:
        body = {"reason": "a chip", "amount": {"amount": 100, "currency": "EUR"}}
        assert self.desk.post(f"orders/{order['id']}/refunds", body).status_code == 201

    def cancel(self, order: Any, api: Api) -> None:
        assert api.post(f"orders/{order['id']}/cancel", {}).status_code == 200

    def expire(self, order: Any, _: Api) -> None:
        overdue(order)
        services.expire_overdue_orders()

    def pay_back(self, *_: Any) -> None:
        settle_everything()

    def pay_late(self, order: Any, _: Api) -> None:
        """The provider took the money after all, when the order was dead."""
        payment = payment_of(order)
        FakeProvider().finish(public_id("pay", payment.pk), AttemptStatus.CAPTURED)
        send(event(payment, event_id="evt_late"))
        make_due(WebhookInbox)
        services.apply_webhooks()
