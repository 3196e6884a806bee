"""What goes wrong in routing. All but the last are bugs of the caller and never shown to a client."""

from shop.contract import UnavailableError


class ShardKeyMissing(LookupError):
    """A read of a sharded model names no single shard. Use a key in the filter, `.on(key)` or `.across()`."""


class ShardScopeMissing(LookupError):
    """A write to a sharded model outside `shard_atomic`, or to a shard that is not the scope's."""


class MixedShards(LookupError):
    """Keys of different shards where one transaction needs one, or a second shard inside an open scope."""


class ShardMapMissing(LookupError):
    """The context's home holds no shard map: its databases were never migrated."""


class ShardUnavailable(UnavailableError):
    """A shard did not answer in time."""

    code = "shard_unavailable"
