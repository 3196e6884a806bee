"""`manage.py serve` as an operator meets it: what it says when it can't, and that it stops with all it started."""

import copy
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.testing import SHARDS
from tests.e2e.people import Customer, Staff, eventually
from tests.e2e.shopserver import ShopServer
from tests.e2e.test_kill import is_ready
from tests.kernel.pools import ON_POSTGRESQL


@pytest.fixture
def empty_shop(tmp_path):
    server = ShopServer(tmp_path, migrated=False)
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def usual_shop(tmp_path):
    """With as many databases as a shop begins with, whatever this run has."""
    server = ShopServer(tmp_path, shards=SHARDS)
    try:
        yield server
    finally:
        server.remove()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_with_all_it_started(fresh_shop, number):
    fresh_shop.start()
    assert fresh_shop.signal(number)
    with pytest.raises(OSError):
        fresh_shop.call("GET", "/livez")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", fresh_shop.port))


def test_its_workers_do_not_outlive_it(fresh_shop):
    # given a server of which only the first process is killed, as the system does when memory is short
    fresh_shop.start()
    fresh_shop.signal(signal.SIGKILL)
    # then the port is free within moments, and it starts again
    eventually(lambda: _is_free(fresh_shop.port), seconds=10)
    fresh_shop.start()


@pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite files are served by one process")
@pytest.mark.skipif(sys.platform != "linux", reason="only there two servers share a port")
def test_who_has_connected_before_a_server_leaves_is_answered_still(fresh_shop, request):
    # given a server, another one that has come to take over its port, and clients who are slow to say what they want
    fresh_shop.start()
    successor = copy.copy(fresh_shop)
    request.addfinalizer(successor.kill)
    successor.start(SHARE_PORT="1")
    eventually(lambda: _listeners(fresh_shop.port) == 2, seconds=30)
    leaving = threading.Event()

    def ask_until_it_has_left():
        answers = []
        while not leaving.is_set():
            with socket.create_connection(("127.0.0.1", fresh_shop.port), timeout=10) as connection:
                time.sleep(0.05)
                connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answers.append(connection.recv(12))
        return answers

    # when the first one is told to stop
    with ThreadPoolExecutor(8) as clients:
        asking = [clients.submit(ask_until_it_has_left) for _ in range(8)]
        try:
            assert fresh_shop.signal(signal.SIGTERM)
        finally:
            leaving.set()
    # then whoever came is answered, by it or by the other one
    answers = [answer for each in asking for answer in each.result()]
    assert (len(answers) > 50, set(answers)) == (True, {b"HTTP/1.1 200"})


@pytest.mark.skipif(sys.platform != "linux", reason="only there /proc tells who the workers are")
def test_a_worker_that_is_killed_again_and_again_comes_back(fresh_shop):
    # given a server with one worker, which is killed three times, each time as soon as it is back
    fresh_shop.start()
    for _ in range(3):
        killed = fresh_shop.workers()
        os.kill(killed[0], signal.SIGKILL)
        eventually(lambda killed=killed: fresh_shop.workers() not in ([], killed) and is_ready(fresh_shop), seconds=30)
    # then it is the same server
    assert fresh_shop.signal(signal.SIGTERM)


@pytest.mark.skipif(sys.platform != "linux", reason="only there workers are forked, and only there /proc tells")
def test_a_worker_takes_75_megabytes_of_its_own_at_most(usual_shop):
    # given a worker that has answered from every context
    usual_shop.start()
    staff = Staff(usual_shop)
    buyer = Customer(usual_shop)
    buyer.pay(buyer.order((staff.product("Teapot", stock=3), 1)).json)
    # then what it does not share with the process that loaded the shop is small
    own = [_own_megabytes(worker) for worker in usual_shop.workers()]
    print(f"own memory of the worker: {own[0]:.0f} MB")
    assert 5 < own[0] <= 75


def test_it_listens_at_a_name(fresh_shop):
    fresh_shop.start(HOST="localhost")
    assert f"serving on http://localhost:{fresh_shop.port} " in fresh_shop.log()


def test_signing_keys_that_are_none_are_told_in_one_line(fresh_shop):
    fresh_shop.start()
    fresh_shop.kill()
    (fresh_shop.home / "keys.jwks").write_text("{}")
    done = fresh_shop.manage("serve", SIGNING_KEYS=str(fresh_shop.home / "keys.jwks"))
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
    assert "SIGNING_KEYS" in done.stderr


def test_a_second_start_changes_nothing(empty_shop):
    empty_shop.start()
    empty_shop.kill()
    secrets_before = (empty_shop.home / "secrets.json").read_bytes()
    started = time.monotonic()
    empty_shop.start()
    print(f"second start: {time.monotonic() - started:.1f} s")
    assert (empty_shop.home / "secrets.json").read_bytes() == secrets_before
    assert empty_shop.log().count("staff account") == 1
    assert empty_shop.log().count("migrating") == 1


def test_a_taken_port_is_told_in_one_line(fresh_shop):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", fresh_shop.port))
        taken.listen()
        done = fresh_shop.manage("serve")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
    assert str(fresh_shop.port) in done.stderr


def test_a_home_that_can_not_be_written_is_told_in_one_line(fresh_shop):
    (fresh_shop.home / "file").write_text("no folder")
    done = fresh_shop.manage("serve", SHOP_HOME=str(fresh_shop.home / "file" / "home"))
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
    assert "SHOP_HOME" in done.stderr


def test_wrong_settings_are_told_all_at_once(fresh_shop):
    done = fresh_shop.manage("serve", PORT="none", RELAY_PAUSED="perhaps", AUTH_DATABASES="mysql://x")
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["AUTH_DATABASES", "RELAY_PAUSED", "PORT"]


def test_log_lines_are_json_and_name_nobody(fresh_shop):
    fresh_shop.start()
    who = {"email": "grace.hopper@example.com", "password": "a password to look for"}
    fresh_shop.call("POST", "/api/v1/auth/register", who)
    answer = fresh_shop.call("POST", "/api/v1/auth/token", who)
    fresh_shop.call("GET", "/api/v1/auth/me", token=answer.json["access"])
    fresh_shop.kill()
    log = fresh_shop.log()
    requests = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"auth"} == {r["context"] for r in requests if r["event"] == "request" and "auth" in r["route"]}
    assert all(r["trace_id"] for r in requests if r["event"] == "request")
    for secret in (who["email"], who["password"], answer.json["access"], answer.json["refresh"]):
        assert secret not in log


def _listeners(port):
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def _own_megabytes(process):
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", rollup, re.MULTILINE)) / 1024


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
