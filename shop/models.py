"""Tables of the kernel, gathered for Django from the rooms that own them."""

from shop.events.models import Duty, ForgottenEvents, InboxEntry, OutboxEvent, ParkedMessage
from shop.gateway.models import RevokedSession
from shop.http.models import IdempotencyClaim
from shop.mail.models import Mail
from shop.privacy.models import Erasure
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
    "Erasure",
    "ForgottenEvents",
    "IdempotencyClaim",
    "InboxEntry",
    "Mail",
    "OutboxEvent",
    "Outcome",
    "ParkedMessage",
    "RevokedSession",
    "Shard",
    "ShardEpoch",
    "ShardMapEntry",
    "ShardProcess",
    "ShardSlice",
    "UniqueTarget",
    "UniqueValue",
    "WorkerLease",
]
