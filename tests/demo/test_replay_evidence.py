"""Whole files replayed in processes of their own, killed, and beside a server; then the invariants are looked at.

The whole sample, and the file that `REPLAY_FILE` names: `REPLAY_FILE=orders.csv.gz scripts/test -m evidence`.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.demo.sales import SAMPLE, Recount, lines_of, part_of, recount
from tests.e2e.people import Customer, Staff
from tests.e2e.shopserver import ROOT, ShopServer

KILLS = 6
MOST_MEMORY_MB = 250
BOOKS = """
import json
from contexts.ordering.models import Order, OrderLine, Payment, Refund
def each(rows, after=None):
    while True:
        page = rows.across().page(order=["id"], limit=5000, after=after)
        yield from page.rows
        if not page.more:
            return
        after = [page.rows[-1].pk]
orders, refunds = list(each(Order.objects.all())), list(each(Refund.objects.all()))
print(json.dumps({
    "orders": len(orders), "placed": sum(row.status == "placed" for row in orders),
    "charged": sum(row.amount for row in each(Payment.objects.filter(status="captured"))),
    "refunds": len(refunds), "given_back": sum(row.amount for row in refunds if row.status == "succeeded"),
    "pieces": sum(row.quantity for row in each(OrderLine.objects.only("quantity"))),
}))
"""

pytestmark = pytest.mark.evidence


@pytest.fixture
def shop(tmp_path):
    """A demo shop in databases of its own; nobody serves it."""
    server = ShopServer(tmp_path)
    try:
        run(server, "serve", "--prepare-only")
        yield server
    finally:
        server.remove()


def popen(shop: ShopServer, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    return subprocess.Popen(
        command, env=shop.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def run(shop: ShopServer, *arguments: str) -> str:
    """What a command prints; it must end well."""
    with popen(shop, *arguments) as process:
        printed, told = process.communicate()
    assert process.returncode == 0, f"{printed[-2000:]}\n{told[-3000:]}"
    return printed


def replay(shop: ShopServer, path: Path, *arguments: str) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(run(shop, "replay_orders", str(path), "--json", *arguments))
    return summary


def books(shop: ShopServer) -> dict[str, int]:
    found: dict[str, int] = json.loads(run(shop, "shell", "--no-imports", "-c", BOOKS))
    return found


def assert_done(shop: ShopServer, summary: dict[str, Any], expected: Recount) -> None:
    """Books, summary and recount agree, and every invariant holds."""
    orders = expected.orders
    assert books(shop) == {
        "orders": len(orders),
        "placed": len(orders),
        "charged": sum(order.total for order in orders),
        "refunds": expected.refunds,
        "given_back": sum(order.back for order in orders),
        "pieces": expected.pieces().total(),
    }
    assert summary["orders"]["placed"] == summary["orders"]["paid"] == len(orders)
    assert (
        summary["cancellations"]
        | {
            "refunds": expected.refunds,
            "cut_short": expected.cut_short,
            "lines": expected.cancelled_lines,
            "unmatched_lines": expected.unmatched_lines,
        }
        == summary["cancellations"]
    )
    assert summary["refused"] == {}
    verdict = json.loads(run(shop, "check_invariants", "--json"))
    assert not any(each["findings"] or each["unasked"] for each in verdict["invariants"])


def told(summary: dict[str, Any]) -> str:
    """The figures of a run that are worth to be seen."""
    shown = ("file", "retried", "rows", "skew", "seconds", "baskets_per_second", "workers", "peak_rss_mb")
    return json.dumps({name: summary[name] for name in shown}, indent=1)


def test_the_whole_sample(shop, capsys):
    summary = replay(shop, SAMPLE)
    with capsys.disabled():
        print(told(summary))
    assert_done(shop, summary, recount(SAMPLE))
    assert summary["peak_rss_mb"] < MOST_MEMORY_MB


def test_the_whole_real_data_set(shop, capsys):
    if not (path := os.environ.get("REPLAY_FILE")):
        pytest.skip("REPLAY_FILE names no file")
    summary = replay(shop, Path(path))
    with capsys.disabled():
        print(told(summary))
    assert_done(shop, summary, recount(Path(path)))
    assert summary["peak_rss_mb"] < MOST_MEMORY_MB


def test_a_replay_killed_again_and_again_doubles_nothing(shop, tmp_path, capsys):
    # given the first 300 invoices, and a process that is killed at random moments
    first = list(dict.fromkeys(line["invoice"] for line in lines_of(SAMPLE)))[:300]
    part = part_of(tmp_path / "part.csv.gz", SAMPLE, first)
    seed = random.randrange(1 << 32)
    moments = [random.Random(seed).uniform(5, 20) for _ in range(KILLS)]
    for moment in moments:
        with popen(shop, "replay_orders", str(part), "--run", "killed") as process:
            time.sleep(moment)
            process.send_signal(signal.SIGKILL)
    # when it is let be
    summary = replay(shop, part, "--run", "killed")
    with capsys.disabled():
        print(f"seed {seed}, done before the last start: {summary['orders']['done_before']} {summary['retried']}")
    # then
    assert summary["orders"]["done_before"] > 0
    assert_done(shop, summary, recount(part))


def test_a_replay_beside_a_server_does_its_buyers_no_harm(shop, tmp_path, capsys):
    # given a server, something to buy, and a replay that begins
    shop.start()
    staff = Staff(shop)
    variant = staff.product("Kettle", stock=1_000)
    first = list(dict.fromkeys(line["invoice"] for line in lines_of(SAMPLE)))[:200]
    part = part_of(tmp_path / "part.csv.gz", SAMPLE, first)
    bought, busy = 0, 0
    with popen(shop, "replay_orders", str(part), "--json") as process:
        # when people buy until it has ended
        while process.poll() is None:
            buyer = Customer(shop)
            answers = [buyer.order((variant, 1))]
            if answers[0].status == 201:
                answers.append(buyer.pay(answers[0].json))
            busy += sum(answer.status == 503 for answer in answers)
            bought += answers[-1].status == 201 and len(answers) == 2
            assert {answer.status for answer in answers} <= {201, 503}
        summary, _ = process.communicate()
    with capsys.disabled():
        print(f"{bought} bought beside it, {busy} answers were 503; {json.loads(summary)['baskets_per_second']}")
    # then
    assert process.returncode == 0
    assert bought > 10
    verdict = json.loads(run(shop, "check_invariants", "--json"))
    assert not any(each["findings"] or each["unasked"] for each in verdict["invariants"])
    assert staff.stock(variant)["on_hand"] <= 1_000 - bought
