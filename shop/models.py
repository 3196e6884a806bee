"""Tables of the kernel, gathered for Django from the rooms that own them."""

from shop.events.models import Duty, ForgottenEvents, InboxEntry, OutboxEvent, ParkedMessage
from shop.http.models import IdempotencyClaim
from shop.mail.models import Mail
from shop.services.models import Outcome
from shop.sharding.models import (
    DatabaseIdentity,
    Shard,
    ShardEpoch,
    ShardMapEntry,
    ShardProcess,
    ShardSlice,
    UniqueTarget,
    UniqueValue,
    WorkerLease,
)

__all__ = [
    "DatabaseIdentity",
    "Duty",
    "ForgottenEvents",
    "IdempotencyClaim",
    "InboxEntry",
    "Mail",
    "OutboxEvent",
    "Outcome",
    "ParkedMessage",
    "Shard",
    "ShardEpoch",
    "ShardMapEntry",
    "ShardProcess",
    "ShardSlice",
    "UniqueTarget",
    "UniqueValue",
    "WorkerLease",
]
