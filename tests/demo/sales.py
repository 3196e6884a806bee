"""Files of sales for tests, what they must come to counted anew, and what the shop has made of them."""

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connections

from config.demo import load
from config.demo.replay.running import replay_file
from contexts.auth.models import Customer
from contexts.catalog.models import StockLevel, StockMovement, Variant
from contexts.ordering.models import Order, OrderLine, Payment, Refund
from contexts.ordering.services.providers.fake import FakeProvider
from shop.events.models import Duty
from shop.mail.models import Mail
from shop.sharding.models import WorkerLease
from shop.sharding.readiness import all_aliases

SAMPLE = load.PRODUCTS.with_name("sample_orders.csv.gz")
HEADER = "invoice,kind,placed_at,customer,country,sku,quantity,unit_price_cents"
CAKESTAND, CASES, HEART = "22423", "21212", "85123A"
"""SKUs of the demo shop: at 12.75, 0.55 and 2.95 pounds."""

type Line = dict[str, str]


def quiet(step: str, done: int, total: int | None) -> None:
    """Nobody looks."""


def written(path: Path, *lines: str) -> Path:
    """A file of these lines under the header, each like ``1,order,17850,22423,2``; a minute between them."""
    whole = [HEADER]
    for minute, line in enumerate(lines):
        invoice, kind, customer, sku, quantity = line.split(",")
        moment = f"2010-12-01T{8 + minute // 60:02}:{minute % 60:02}:00Z"
        whole.append(f"{invoice},{kind},{moment},{customer},United Kingdom,{sku},{quantity},100")
    path.write_text("\n".join(whole) + "\n", encoding="utf-8")
    return path


def replayed(path: Path, run: str = "story", **options: Any) -> dict[str, Any]:
    """The summary of a run."""
    given = {"limit": None, "workers": 2, "dry_run": False, "progress": quiet, **options}
    return replay_file(path, run=run, **given)


def lines_of(path: Path) -> list[Line]:
    """The file's lines as the standard library reads them."""
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return list(csv.DictReader(text.decode().splitlines()))


def part_of(path: Path, source: Path, wanted: Iterable[str]) -> Path:
    """A file of those invoices, and of all of those customers, in the order of ``source``."""
    names = set(wanted)
    lines = [line for line in lines_of(source) if names & {line["invoice"], line["customer"]}]
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HEADER.split(","), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return path


def load_products(skus: Iterable[str]) -> None:
    """Products of the demo shop with these SKUs."""
    wanted = set(skus)
    load.load_rows([row for row in load.read_rows() if row["sku"] in wanted], lambda done, total: None)


@dataclass
class Bought:
    """An order as it must be: its pieces by SKU, what it costs today, what goes back on it."""

    pieces: dict[str, int]
    total: int
    back: int = 0


@dataclass
class Recount:
    """What a file must come to."""

    by_email: dict[str, list[Bought]] = field(default_factory=lambda: defaultdict(list))
    cancelled_lines: int = 0
    unmatched_lines: int = 0
    refunds: int = 0
    cut_short: int = 0

    @property
    def orders(self) -> list[Bought]:
        return [order for orders in self.by_email.values() for order in orders]

    def pieces(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for order in self.orders:
            found.update(order.pieces)
        return found


def recount(path: Path) -> Recount:
    """Go through the file with pencil and paper: nothing here is the replay's own."""
    prices = {row["sku"]: int(row["price_cents"]) for row in load.read_rows()}
    invoices: dict[str, list[Line]] = {}
    for line in lines_of(path):
        invoices.setdefault(line["invoice"], []).append(line)
    found = Recount()
    for invoice, lines in invoices.items():
        pieces: dict[str, int] = defaultdict(int)
        for line in lines:
            pieces[line["sku"]] += int(line["quantity"])
        customer = lines[0]["customer"]
        if lines[0]["kind"] == "cancellation":
            _cancel(found, found.by_email.get(f"{customer}@replay.invalid", []), pieces, prices)
        else:
            email = f"{customer}@replay.invalid" if customer else f"guest-{invoice}@replay.invalid"
            total = sum(number * prices[sku] for sku, number in pieces.items())
            found.by_email[email].append(Bought(pieces=dict(pieces), total=total))
    return found


def _cancel(found: Recount, orders: list[Bought], pieces: Mapping[str, int], prices: Mapping[str, int]) -> None:
    worth: dict[int, int] = defaultdict(int)
    for sku, number in pieces.items():
        found.cancelled_lines += 1
        holding = [place for place, order in enumerate(orders) if sku in order.pieces]
        if not holding:
            found.unmatched_lines += 1
            continue
        worth[holding[-1]] += min(number, orders[holding[-1]].pieces[sku]) * prices[sku]
    for place, wanted in worth.items():
        amount = min(wanted, orders[place].total - orders[place].back)
        orders[place].back += amount
        found.refunds += amount > 0
        found.cut_short += amount < wanted


def orders_by_email() -> dict[str, list[Bought]]:
    """The shop's orders in their order, with what was captured of them and what has gone back for good."""
    emails = {row.pk: row.email for row in Customer.objects.across().rows()}
    found: dict[str, list[Bought]] = defaultdict(list)
    for order in sorted(Order.objects.across().rows(), key=lambda row: row.pk):
        lines = OrderLine.objects.on(order.pk).filter(order_id=order.pk)
        payments = Payment.objects.on(order.pk).filter(order_id=order.pk, status="captured")
        refunds = Refund.objects.on(order.pk).filter(order_id=order.pk, status="succeeded")
        bought = Bought(
            pieces={line.sku: line.quantity for line in lines},
            total=sum(payment.amount for payment in payments),
            back=sum(refund.amount for refund in refunds),
        )
        assert (order.status, order.total) == ("placed", bought.total)
        found[emails[order.customer_id]].append(bought)
    return found


def stock_by_sku() -> dict[str, tuple[int, int]]:
    """On hand and reserved of every variant."""
    levels = {row.pk: (row.on_hand, row.reserved) for row in StockLevel.objects.across().rows()}
    return {row.sku: levels[row.pk] for row in Variant.objects.across().rows()}


def moved_by_sku(reason: str, cause: str = "") -> Counter[str]:
    """Pieces that came or went for ``reason``, by SKU; ``cause`` is how the ledger's words for it begin."""
    skus = {row.pk: row.sku for row in Variant.objects.across().rows()}
    moved: Counter[str] = Counter()
    for row in StockMovement.objects.filter(reason=reason, cause__startswith=cause).across().rows():
        moved[skus[row.variant_id]] += row.delta
    return moved


def providers_sums(since: str) -> tuple[int, int]:
    """What the fake provider has taken and given back since then."""
    intents = [each for each in FakeProvider().intents(since=since) if each.status == "captured"]
    return sum(each.amount for each in intents), sum(each.refunded for each in intents)


def rows_everywhere() -> dict[tuple[str, str], int]:
    """Number of rows of every table on every database, but for who works there at the moment, and mails to nobody."""
    found: dict[tuple[str, str], int] = {}
    for alias in all_aliases():
        with connections[alias].cursor() as cursor:
            for table in sorted(set(connections[alias].introspection.table_names(cursor)) & _tables()):
                cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608  our tables
                found[alias, table] = cursor.fetchone()[0]
    return found


def _tables() -> set[str]:
    ours = {model._meta.db_table for model in apps.get_models() if model._meta.db_table.startswith("shop_")}
    return ours - {each._meta.db_table for each in (Duty, WorkerLease, Mail)}
