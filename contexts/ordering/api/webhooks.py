"""What payment providers call. Nobody is signed in: the signature over the raw body is the provider's identity."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from contexts.ordering import services
from shop.http.rendering import answer

REPORT: Final = {
    "description": "What the provider reports, as it signs it. `fake`: the header `Fake-Signature`.",
    "example": {"id": "evt_1", "type": "payment.captured", "data": {"payment_id": "pay_…"}},
}

router = Router()


class ReceivedOut(Schema):
    """`{}`: it is stored, and need not be sent again."""


@router.post(
    "payments/webhooks/{provider}",
    response={200: ReceivedOut},
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": REPORT}}}},
)
def receive_webhook(request: HttpRequest, provider: str) -> HttpResponse:
    """Store what a provider reports about a payment."""
    services.receive_webhook(provider=provider, headers=request.headers, body=request.body)
    return answer({})
