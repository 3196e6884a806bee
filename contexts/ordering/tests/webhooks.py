"""What the fake provider sends, and what somebody else might."""

import hashlib
import hmac
import json
import time
import uuid
from typing import Any

from django.conf import settings
from django.test import Client

from shop.sharding.public_ids import public_id


def event(payment: Any, kind: str = "captured", event_id: str = "") -> bytes:
    """The body of a report about a payment (its row, or any text)."""
    named = payment if isinstance(payment, str) else public_id("pay", payment.pk)
    body = {
        "id": event_id or f"evt_{uuid.uuid4().hex}",
        "type": f"payment.{kind}",
        "data": {"payment_id": named},
    }
    return json.dumps(body).encode()


def signature(body: bytes, *, age: int = 0, secret: str = "") -> str:
    stamp = str(int(time.time()) - age)
    key = (secret or str(settings.FAKE_WEBHOOK_SECRET)).encode()
    return f"t={stamp},v1={hmac.new(key, stamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def send(body: bytes, *, signed: str | None = None, provider: str = "fake", kind: str = "application/json") -> Any:
    """Post a webhook; signed well unless told otherwise."""
    headers: Any = {"HTTP_FAKE_SIGNATURE": signature(body) if signed is None else signed}
    return Client().post(f"/api/v1/ordering/payments/webhooks/{provider}", body, content_type=kind, **headers)
