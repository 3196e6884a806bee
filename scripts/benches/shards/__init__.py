"""What sharding costs: the same shop on 1, 2, 4, 8 and 16 shards of one server. `scripts/bench shards` runs it."""
