"""63-bit IDs: ``bucket(12) | milliseconds since 2024-01-01 (41) | worker(10)``. Pure; everybody may come in.

The bucket stands in front, so a slice of buckets is a range of primary keys and an ID alone finds its shard.
"""

import hashlib
import secrets
from typing import Final

BUCKETS: Final = 4096
HOME_SLICE: Final = BUCKETS
"""What a context does not shard counts as one more bucket, so that it has an owner too."""
WORKERS: Final = 1024
EPOCH_MS: Final = 1_704_067_200_000
TICK_BITS: Final = 41
WORKER_BITS: Final = 10
BUCKET_SHIFT: Final = TICK_BITS + WORKER_BITS
MAX_TICK: Final = (1 << TICK_BITS) - 1


def compose(*, bucket: int, tick: int, worker: int) -> int:
    """The ID of these parts; ``tick`` counts milliseconds since ``EPOCH_MS``.

    Raises:
        ValueError: A part is out of its range.
    """
    if not (0 <= bucket < BUCKETS and 0 <= tick <= MAX_TICK and 0 <= worker < WORKERS):
        raise ValueError(f"out of range: bucket {bucket}, tick {tick}, worker {worker}")
    return bucket << BUCKET_SHIFT | tick << WORKER_BITS | worker


def bucket_of(key: int) -> int:
    """Bucket of an ID."""
    return key >> BUCKET_SHIFT


def created_ms_of(key: int) -> int:
    """When an ID was made, in Unix milliseconds; up to some seconds ahead of the clock after a burst."""
    return (key >> WORKER_BITS & MAX_TICK) + EPOCH_MS


def key_of_bucket(bucket: int) -> int:
    """The lowest ID of a bucket: a key for what is placed by bucket and not by an ID."""
    return bucket << BUCKET_SHIFT


def key_made_at(bucket: int, unix_ms: int) -> int:
    """The lowest ID of a bucket that can have been made at that moment: within a bucket, IDs are in order of time."""
    return compose(bucket=bucket, tick=min(max(unix_ms - EPOCH_MS, 0), MAX_TICK), worker=0)


def random_bucket() -> int:
    """A bucket for something that belongs to nothing yet."""
    return secrets.randbelow(BUCKETS)


def hash_bucket(kind: str, value: str) -> int:
    """The bucket of a natural key; the same in every process for ever."""
    digest = hashlib.blake2b(f"{kind}\0{value}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % BUCKETS
