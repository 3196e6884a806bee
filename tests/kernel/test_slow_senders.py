"""What the watch over slow senders sees of its process."""

import os
import socket

import pytest

from shop.gateway.slow_senders import _connections

pytestmark = pytest.mark.once


def test_looking_through_the_connections_leaves_files_alone(tmp_path):
    # given a server with a client, in a process that has files open, as each SQLite database is
    with (
        (tmp_path / "database").open("w"),
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0],
    ):
        before = os.listdir("/dev/fd")  # noqa: PTH208  names, not paths
        # when its connections are looked for, and left
        found = _connections(server.getsockname()[1])
        peers = [each.getpeername() for each in found]
        for each in found:
            each.close()
        # then it was the client's, and nothing else is open that was not
        assert peers == [client.getsockname()]
        assert os.listdir("/dev/fd") == before  # noqa: PTH208  names, not paths
