"""What a replay came to, as JSON can hold it. The command prints it."""

import resource
import sys
from collections.abc import Mapping
from typing import Any, Final

from config.demo.replay.survey import Survey
from config.demo.replay.tally import Tally, skew_of
from shop.sharding import shard_map

ROWS: Final = ("auth.customers", "catalog.reservation_lines", "ordering.orders", "ordering.order_lines")
PARTS: Final = {
    "made": ("customers", "guests"),
    "stock": ("pieces",),
    "orders": ("placed", "paid", "payment_pending", "skipped", "done_before", "lines", "pieces", "unknown_lines"),
    "cancellations": ("refunds", "cut_short", "done_before", "lines", "unmatched_lines"),
    "refused": (),
    "retried": (),
    "charged": (),
    "given_back": (),
}
"""What is counted by part; the last four by code or currency."""
_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024


def file_part(found: Survey, articles: Mapping[str, int]) -> dict[str, Any]:
    """What the file holds, and how much of it the catalog knows nothing of."""
    return {
        "baskets": found.baskets,
        "orders": found.orders,
        "cancellations": found.cancellations,
        "guests": found.guests,
        "customers": found.customers,
        "lines": found.lines,
        "pieces": found.pieces.total(),
        "median_lines": found.median,
        "largest_lines": found.largest,
        "skus": len(found.pieces),
        "unknown_skus": len(found.pieces.keys() - articles.keys()),
    }


def work_part(tally: Tally) -> dict[str, Any]:
    """What was done."""
    rows = tally.rows({kind: shard_map(kind.partition(".")[0]).owners() for kind in ROWS})
    return {
        **{part: {**dict.fromkeys(names, 0), **tally.part(part)} for part, names in PARTS.items()},
        "rows": rows,
        "skew": {kind: skew_of(by_shard) for kind, by_shard in rows.items()},
    }


def peak_rss_mb() -> float:
    """The most memory this process ever had."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / 1e6, 1)
