"""Acting as the fake provider: its books change, then it reports over HTTP like a real one. For `manage.py`."""

import json
import time
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

from contexts.ordering.domain import AttemptStatus
from contexts.ordering.services.providers.fake import (
    SIGNATURE,
    FakeIntent,
    FakeProvider,
    UnknownIntent,
    signature_of,
)
from shop.contract import NotFoundError
from shop.sharding.public_ids import InvalidPublicId, number_of

TIMEOUT_SECONDS: Final = 10.0
WEBHOOK: Final = "/api/v1/ordering/payments/webhooks/fake"


class NotDelivered(Exception):
    """The shop has not taken the webhook; the text says why."""


def fake_payments() -> Sequence[FakeIntent]:
    """What the fake provider has been asked to take, oldest first."""
    return [intent for intent in FakeProvider().intents() if intent.payment_id]  # others were closed before they came


def finish_fake_payment(*, payment_id: str, status: AttemptStatus, url: str, times: int, delay_seconds: float) -> None:
    """Change the provider's books, wait, and send the webhook ``times`` times.

    Args:
        payment_id: As the public knows it, `pay_…`.
        status: ``captured`` counts always; ``failed`` is reported even where the money was taken, and changes nothing.
        url: Where the shop is: `http://127.0.0.1:8000`.
        times: The same event, again and again.
        delay_seconds: How late the provider is.

    Raises:
        NotFoundError: The provider knows no such payment.
        NotDelivered: The shop could not be reached, or did not answer 200.
    """
    try:
        number_of("pay", payment_id)
        FakeProvider().finish(payment_id, status)
    except (InvalidPublicId, UnknownIntent):
        raise NotFoundError(detail=f"the fake provider knows no payment {payment_id}") from None
    event = {"id": f"evt_{uuid.uuid4().hex}", "type": f"payment.{status}", "data": {"payment_id": payment_id}}
    time.sleep(delay_seconds)
    for _ in range(times):
        _send(url, json.dumps(event).encode())


def _send(url: str, body: bytes) -> None:
    stamp = str(int(time.time()))
    headers = {"Content-Type": "application/json", SIGNATURE: f"t={stamp},v1={signature_of(stamp, body)}"}
    parts = urlsplit(url)
    make = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = make(parts.netloc, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", parts.path.rstrip("/") + WEBHOOK, body, headers)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise NotDelivered(f"{url} can't be reached: {error}") from error
    finally:
        connection.close()
    if status != HTTPStatus.OK:
        raise NotDelivered(f"{url} answered {status}")
