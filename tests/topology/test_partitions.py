"""All five partitions of the contexts into processes answer the same stories alike."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

from tests.brokers import URLS, namespace
from tests.e2e.shopserver import ROOT, STAFF, ShopServer, free_port
from tests.topology.checkout import HEEDS_MODES, read_only_checkout
from tests.topology.stories import told

TOGETHER = "auth+catalog+ordering"
USUAL = ("auth,catalog+ordering", "RabbitMQ")
APART = ["auth,catalog+ordering", "auth+catalog,ordering", "auth+ordering,catalog", "auth,catalog,ordering"]
START_SECONDS = 180.0


class Started(ShopServer):
    """What stories need of a server: the gateway's address."""

    def __init__(self, port: int) -> None:
        self.port = port


@contextmanager
def topology(
    partition: str, home: Path, checkout: Path = ROOT, **more: str
) -> Iterator[tuple[ShopServer, dict[str, Any]]]:
    """`scripts/topology`, running, on SQLite files in ``home`` unless told; gives its gateway, and where all are."""
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "TMPDIR"}}
    staff = {"DJANGO_SUPERUSER_EMAIL": STAFF["email"], "DJANGO_SUPERUSER_PASSWORD": STAFF["password"]}
    port = free_port()
    environment = {**kept, **staff, "SHOP_HOME": str(home), "PORT": str(port), "FAKE_WEBHOOK_SECRET": "webhook", **more}
    command = [*HEEDS_MODES, str(checkout / "scripts" / "topology"), partition, "--json", "--no-demo"]
    with (home / "topology.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
    ending = threading.Timer(START_SECONDS, process.terminate)
    ending.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        ending.cancel()
        assert line, (home / "topology.log").read_text()[-3000:]
        yield Started(port), json.loads(line)
    finally:
        ending.cancel()
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        process.stdout.close()  # type: ignore[union-attr]  # it is a pipe
    assert code == 0


def answers(partition: str, home: Path, checkout: Path = ROOT, **more: str) -> dict[str, list[str]]:
    home.mkdir()
    with topology(partition, home, checkout, **more) as (gateway, _):
        return told(gateway, "webhook")


def differences(found: dict[str, list[str]], expected: dict[str, list[str]]) -> list[str]:
    """Where answers differ, with what stands around it."""
    pairs = ((name, pair) for name in expected for pair in zip_longest(expected[name], found[name], fillvalue=""))
    return [f"{name}: {around(one, other)} | {around(other, one)}" for name, (one, other) in pairs if one != other]


def around(line: str, other: str) -> str:
    place = next((n for n, (one, two) in enumerate(zip(line, other, strict=False)) if one != two), len(line))
    return f"{line[:60]} … {line[max(0, place - 60) : place + 60]}"


@contextmanager
def databases(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Databases on PostgreSQL, and the settings that name them."""
    server = ShopServer(tmp_path)
    try:
        yield {name: value for name, value in server._environment.items() if name.endswith("_DATABASES")}
    finally:
        server.remove()


@contextmanager
def a_broker(url: str) -> Iterator[dict[str, str]]:
    """The settings that name it, under a namespace of its own."""
    with namespace(url) as name:
        yield {"BROKER_URL": url, "BROKER_NAMESPACE": name}


on_sqlite = pytest.mark.skipif(
    os.environ.get("SHOP_TEST_ENGINE") == "postgres", reason="each has SQLite files: once is enough"
)
on_postgres = pytest.mark.skipif(
    os.environ.get("SHOP_TEST_ENGINE") != "postgres",
    reason="SQLite files are served by one process, and have no workers",
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    with read_only_checkout(tmp_path_factory.mktemp("code")) as root:
        yield root


@pytest.fixture(scope="module")
def together(checkout, tmp_path_factory):
    return answers(TOGETHER, tmp_path_factory.mktemp("together") / "home", checkout)


@on_sqlite
def test_the_checkout_they_all_run_from_can_be_written_by_none(checkout):
    for place in ("new.py", "shop/new.py", "manage.py"):
        writing = [*HEEDS_MODES, sys.executable, "-c", f"open({str(checkout / place)!r}, 'a')"]
        assert "PermissionError" in subprocess.run(writing, capture_output=True, text=True, check=False).stderr


@on_sqlite
@pytest.mark.parametrize("partition", APART)
def test_apart_they_answer_as_together_of_one_read_only_checkout(partition, checkout, together, tmp_path):
    assert sum(map(len, together.values())) >= 75
    assert differences(answers(partition, tmp_path / "home", checkout), together) == []


@on_sqlite
def test_staff_work_in_the_admin_of_every_process(tmp_path):
    # given a shop in three processes
    with topology("auth,catalog,ordering", tmp_path) as (gateway, places):
        servers = {name: Started(urlsplit(each["url"]).port) for name, each in places["servers"].items()}
        # then each has an admin of its own, to which staff sign in, and the gateway has none
        shown = {name: signed_in(server) for name, server in servers.items() if name != "gateway"}
        assert {name: f"/admin/shop_{name}/" in page for name, page in shown.items()} == dict.fromkeys(shown, True)
        assert gateway.call("GET", "/admin/").status == 404
        # and who asks the gateway for what is only between processes, is told that it is not there
        assert [server.call("GET", f"/_svc/{name}/v1/jwks").status for name, server in servers.items()] == [200] * 3 + [
            404
        ]
        assert gateway.call("POST", "/api/v1/auth/token", {"email": "x" * (1 << 20)}).status == 413


def signed_in(server: ShopServer) -> str:
    """The admin's first page, as staff see it who have signed in."""
    opener = build_opener(HTTPCookieProcessor())
    with opener.open(f"{server.url}/admin/login/") as page:
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', page.read().decode())
    assert token is not None
    form = {
        "username": STAFF["email"],
        "password": STAFF["password"],
        "csrfmiddlewaretoken": token[1],
        "next": "/admin/",
    }
    with opener.open(f"{server.url}/admin/login/", urlencode(form).encode()) as page:
        return str(page.read().decode())


@on_postgres
@pytest.mark.parametrize(
    ("partition", "broker"),
    [
        pytest.param(partition, broker, marks=() if (partition, broker) == USUAL else pytest.mark.evidence)
        for partition in (TOGETHER, *APART)
        for broker in URLS
    ],
)
def test_over_a_broker_they_answer_as_together_without_one(partition, broker, tmp_path_factory):
    found = []
    for number, (each, ways) in enumerate([(TOGETHER, nullcontext({})), (partition, a_broker(URLS[broker]))]):
        home = tmp_path_factory.mktemp("shop")
        with databases(home) as urls, ways as way:
            found.append(answers(each, home / str(number), **urls, **way))
    assert differences(found[1], found[0]) == []
