"""How many shards each context has in this run (``SHOP_TEST_SHARDS``), and tests that some numbers can't tell."""

import os
from collections import Counter
from collections.abc import Iterable
from typing import Final

import pytest

from config.testing import SHARDS as USUAL

SHARDS: Final = int(os.environ.get("SHOP_TEST_SHARDS") or USUAL)
FIRST_BUCKET, LAST_BUCKET = 7, 4000
"""Of the first shard and of the last one, which is the same where there is but one."""
SLICES: Final = [[n * 4096 // SHARDS, (n + 1) * 4096 // SHARDS - 1] for n in range(SHARDS)]
"""The first and the last bucket of each shard."""
MARK: Final = "needs_shards"


def needs_shards(number: int, *, because: str) -> pytest.MarkDecorator:
    """Leave the test out of runs with fewer shards per context. Each run says how many it left out, and why.

    Args:
        number: The fewest shards that the story can be told on.
        because: What of the story is missing otherwise, as a sentence's end: "needs 2 shards: …".
    """
    return getattr(pytest.mark, MARK)(number, because)  # type: ignore[no-any-return]  # marks are made by name


ANOTHER_SHARD: Final = needs_shards(2, because="tells of a key, a row or a transaction on another shard")
ANOTHER_DATABASE: Final = needs_shards(2, because="tells of a database that does not answer, and of one that does")
SHARDS_TOGETHER: Final = needs_shards(2, because="several shards answer one question together")


def reason_to_leave_out(item: pytest.Item) -> str | None:
    """``needs 2 shards: …``, if this run has too few for the test."""
    marks = [mark for mark in item.iter_markers(MARK) if mark.args[0] > SHARDS]
    return f"needs {marks[0].args[0]} shards: {marks[0].args[1]}" if marks else None


def summary(reasons: Iterable[str]) -> list[str]:
    """A line for each reason: how many tests were left out for it."""
    return [f"{number} left out: {reason}" for reason, number in sorted(Counter(reasons).items())]
