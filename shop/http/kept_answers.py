"""Answers kept under a customer's keys, when the customer is erased. `shop.privacy` and the contexts come in here.

What staff were answered about a customer is kept under staff's keys, and whoever repeats such a request must not do it
twice. So the answer goes and the key stays: a repetition finds its own effect, and is answered from what there is now.
"""

from collections.abc import Collection
from datetime import UTC, datetime

from shop.http.models import IdempotencyClaim
from shop.sharding import alias_of, key_of_bucket, shard_atomic, shard_map
from shop.sharding.scatter import owned

State = IdempotencyClaim.State


def forget_answers(context: str, customer_id: int) -> None:
    """Delete a customer's keys with their answers, in the open transaction on the customer's shard."""
    rows = IdempotencyClaim.objects.using(alias_of(context, customer_id))
    rows.filter(principal=f"customer:{customer_id}").delete()


def answer_staff_anew(context: str, bucket: int, effects: Collection[int]) -> None:
    """Drop what staff were answered about ``effects``, the IDs under which their requests' effects were made.

    Args:
        context: Whose operations they were.
        bucket: Of all the effects.
        effects: The IDs.

    Database: every shard, a transaction each where there is something. Safe to repeat.
    """
    for alias in shard_map(context).owners():
        rows = IdempotencyClaim.objects.using(alias).filter(owned(shard_map(context), alias), state=State.DONE)
        of_bucket = rows.filter(resource_id__gte=key_of_bucket(bucket), resource_id__lt=key_of_bucket(bucket + 1))
        found = of_bucket.exclude(principal__startswith="customer:").values_list("pk", "resource_id")
        for key in [key for key, effect in found if effect in effects]:
            with shard_atomic(context, key) as scope:
                claim = IdempotencyClaim.objects.using(scope.alias).filter(pk=key)
                claim.update(state=State.RUNNING, lease_until=datetime.now(UTC), body=b"", headers={}, status=None)
