"""Where rows live: IDs that route, homes and shards, the router, transactions on one shard. Contexts come in here.

Nothing in this package knows a context by name: contexts are what the settings host, aliases are `<context>_<n>`.
"""

from shop.sharding.databases import aliases_of, context_of_alias, home_of, hosted_contexts
from shop.sharding.errors import (
    MixedShards,
    ShardKeyMissing,
    ShardMapMissing,
    ShardMoved,
    ShardScopeMissing,
    ShardUnavailable,
)
from shop.sharding.generator import new_id
from shop.sharding.ids import BUCKETS, bucket_of, created_ms_of, hash_bucket, key_of_bucket, random_bucket
from shop.sharding.scope import (
    Scope,
    current_scope,
    forbid_shard_switch,
    home_atomic,
    rerouted,
    shard_at_once,
    shard_atomic,
)
from shop.sharding.shard_map import alias_of, by_shard, shard_map

__all__ = [
    "BUCKETS",
    "MixedShards",
    "Scope",
    "ShardKeyMissing",
    "ShardMapMissing",
    "ShardMoved",
    "ShardScopeMissing",
    "ShardUnavailable",
    "alias_of",
    "aliases_of",
    "bucket_of",
    "by_shard",
    "context_of_alias",
    "created_ms_of",
    "current_scope",
    "forbid_shard_switch",
    "hash_bucket",
    "home_atomic",
    "home_of",
    "hosted_contexts",
    "key_of_bucket",
    "new_id",
    "random_bucket",
    "rerouted",
    "shard_at_once",
    "shard_atomic",
    "shard_map",
]
