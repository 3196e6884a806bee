"""End-to-end tests talk to a real server only: no database of the test process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.people import Staff
from tests.e2e.shopserver import ShopServer


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopServer]:
    """A server that the stories of one module share."""
    server = ShopServer(tmp_path_factory.mktemp("shop"))
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
def fresh_shop(tmp_path: Path) -> Iterator[ShopServer]:
    """A server of this test's own, not yet started."""
    server = ShopServer(tmp_path)
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def staff(shop: ShopServer) -> Staff:
    return Staff(shop)
