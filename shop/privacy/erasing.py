"""Erasing a customer in one context: its own tables by its `PersonalData`, the kernel's tables by what is here.

An access token is good for some minutes after its account is gone, and a request may be under way. So it is done again
when no token is left, once more when every answer that was kept under a key is gone, and at last when no event is
believed any more that was on its way.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from shop.contract import PersonalData
from shop.events import one_by_one
from shop.events.broker.sealing import OLDEST
from shop.gateway.tokens import LIFETIME
from shop.http.idempotency import KEPT_HOURS
from shop.privacy.leftovers import erase_leftovers
from shop.privacy.models import Erasure
from shop.services import provider_in
from shop.sharding import aliases_of, shard_atomic, shard_map
from shop.sharding.scatter import owned

AGAIN_AFTER: Final = (LIFETIME + timedelta(minutes=2), timedelta(hours=KEPT_HOURS + 1), OLDEST + timedelta(hours=1))
BATCH: Final = 100


def erase_customer(context: str, customer_id: str) -> None:
    """Erase what ``context`` stores about a customer (decimal ID) who is gone. Safe to repeat, at any line.

    The context's handler of the event that tells it comes in here, outside of any transaction.
    Database: the customer's shard and the home, some transactions each; what the context does besides.
    """
    key = int(customer_id)
    now = datetime.now(UTC)
    with shard_atomic(context, key) as scope:
        first = {"erased_at": now, "due_at": now + AGAIN_AFTER[0]}
        erasure, _ = Erasure.objects.using(scope.alias).get_or_create(id=key, defaults=first)
    erase_leftovers(context, key)
    provider_in(context, PersonalData).erase(customer_id=customer_id)
    due_at = next((at for after in AGAIN_AFTER if (at := erasure.erased_at + after) > now), None)
    with shard_atomic(context, key) as scope:
        Erasure.objects.using(scope.alias).filter(pk=key).update(due_at=due_at)


def erase_again(context: str) -> int:
    """Erase what has come in about customers who were erased, where it is time; returns how many were looked after.

    Database: every shard. Safe to repeat, and for several processes at once.
    """
    return one_by_one(aliases_of(context), lambda alias: _erase_again_on(context, alias))


def _erase_again_on(context: str, alias: str) -> int:
    here = Erasure.objects.using(alias).filter(owned(shard_map(context), alias))
    due = list(here.filter(due_at__lte=datetime.now(UTC)).order_by("due_at").values_list("pk", flat=True)[:BATCH])

    def erase(key: int) -> int:
        erase_customer(context, str(key))
        return 1

    return one_by_one(due, erase)
