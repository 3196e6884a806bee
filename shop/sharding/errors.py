"""What goes wrong in routing. All but the last three are bugs of the caller and never shown to a client."""

from dataclasses import dataclass

from django.db import OperationalError

from shop.contract import UnavailableError


class ShardKeyMissing(LookupError):
    """A read of a sharded model names no single shard. Use a key in the filter, `.on(key)` or `.across()`."""


class ShardScopeMissing(LookupError):
    """A write to a sharded model outside `shard_atomic`, or to a shard that is not the scope's."""


class MixedShards(LookupError):
    """Keys of different shards where one transaction needs one, or a second shard inside an open scope."""


class ShardUnavailable(UnavailableError, OperationalError):
    """A shard did not answer in time.

    To Django it is an error of the database like any other, so a transaction that ends with it is rolled back.
    """

    code = "shard_unavailable"


@dataclass(eq=False, kw_only=True)
class ShardMapMissing(ShardUnavailable, LookupError):
    """The context's home holds no shard map, or one that can't be right.

    Attributes:
        why: What is wrong and what to do, for operators. A client is told ``detail``.
    """

    why: str

    def __str__(self) -> str:
        return self.why


@dataclass(eq=False, kw_only=True)
class ShardMoved(ShardUnavailable):
    """A database was asked to write what it does not own: the map that led there is old, or the rows are moving.

    Attributes:
        epoch: Of the map that the database knows: read yours until it is at least that. 0 where it can't say.
    """

    epoch: int
