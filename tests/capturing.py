"""What is asked of the databases while something is done."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django.db import connections
from django.test.utils import CaptureQueriesContext

from shop.sharding import aliases_of


@contextmanager
def statements_on_shards(context: str) -> Iterator[list[str]]:
    """The SQL that this thread sends to a context's databases; the list is filled when the block has ended."""
    found: list[str] = []
    with ExitStack() as stack:
        captured = [stack.enter_context(CaptureQueriesContext(connections[alias])) for alias in aliases_of(context)]
        yield found
    found.extend(str(query["sql"]) for each in captured for query in each)
