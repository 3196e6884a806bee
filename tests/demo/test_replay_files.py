"""Files of sales: what is read of them, and what is refused, by line."""

from collections import Counter
from statistics import median_low

import pytest

from config.demo.replay.baskets import baskets_of
from config.demo.replay.countries import CODES, code_of
from config.demo.replay.lines import DamagedFileError, UnreadableFileError
from config.demo.replay.survey import survey
from shop.http.countries import COUNTRIES
from tests.demo.sales import HEADER, SAMPLE, lines_of

pytestmark = pytest.mark.once

GOOD = "536365,order,2010-12-01T08:26:00Z,17850,United Kingdom,21730,6,425"


@pytest.fixture
def file(tmp_path):
    """Writes a file of these lines."""

    def write(*lines, header=HEADER, end="\n"):
        path = tmp_path / "sales.csv"
        path.write_text(end.join([header, *lines, ""]), encoding="utf-8", newline="")
        return path

    return write


def look(path, limit=None):
    return survey(path, limit=limit, progress=lambda seen: None)


def test_repeated_skus_of_an_invoice_are_summed_in_whatever_case(file):
    [basket] = baskets_of(file(GOOD.replace("21730", "85123A"), GOOD, GOOD.replace("21730,6", "85123a,2")))
    assert basket.pieces == {"85123a": 8, "21730": 6}


def test_a_file_from_a_spreadsheet_with_a_mark_and_other_line_ends_is_read(file):
    assert [basket.pieces for basket in baskets_of(file(GOOD, header="\ufeff" + HEADER, end="\r\n"))] == [{"21730": 6}]


def test_invoices_of_the_same_minute_may_stand_among_each_other(file):
    other = GOOD.replace("536365", "536366")
    found = list(baskets_of(file(GOOD, other, GOOD, other)))
    assert [(basket.invoice, basket.pieces["21730"]) for basket in found] == [("536365", 12), ("536366", 12)]


def test_an_invoice_that_comes_again_after_many_others_is_damage(file):
    others = [GOOD.replace("536365", str(number)) for number in range(20)]
    with pytest.raises(DamagedFileError, match="line 23: invoice 536365 was over before"):
        look(file(GOOD, *others, GOOD))


def test_a_basket_is_the_same_wherever_it_stands_and_another_when_a_piece_differs(file):
    [here] = baskets_of(file(GOOD))
    _, there = baskets_of(file(GOOD.replace("536365", "1"), GOOD))
    [other] = baskets_of(file(GOOD.replace(",6,", ",7,")))
    assert here.fingerprint == there.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("536365,order", "it has 2 fields instead of 8"),
        ("", "it has 0 fields instead of 8"),
        (GOOD + ",1", "it has 9 fields instead of 8"),
        (GOOD.replace("536365", "53 6365"), "invoice must be 1-30 letters, digits or hyphens, not '53 6365'"),
        (GOOD.replace("536365", ""), "invoice must be"),
        (GOOD.replace("order", "refund"), "kind must be order or cancellation, not 'refund'"),
        (GOOD.replace("2010-12-01", "2010-13-01"), "placed_at must be a time like"),
        (GOOD.replace("T08:26:00Z", " 08:26"), "placed_at must be a time like"),
        (GOOD.replace("17850", "ada"), "customer must be a number, or empty, not 'ada'"),
        (GOOD.replace("17850", "1" * 21), "customer must be"),
        (GOOD.replace("United Kingdom", ""), "country must be"),
        (GOOD.replace("21730", "  "), "sku must be 1-64 characters, not '  '"),
        (GOOD.replace("21730", "a\0b"), "sku must be"),
        (GOOD.replace(",6,", ",0,"), "quantity must be a whole number from 1 to 1000000, not '0'"),
        (GOOD.replace(",6,", ",-6,"), "quantity must be"),
        (GOOD.replace(",6,", ",1000001,"), "quantity must be"),
        (GOOD.replace(",6,", ",٣,"), "quantity must be"),
        (GOOD.replace("425", "4.25"), "unit_price_cents must be a whole number, not '4.25'"),
        (GOOD.replace("T08:26", "T08:25"), "placed_at is earlier than in the line before, 2010-12-01T08:26:00Z"),
        (GOOD.replace("order", "cancellation"), "kind of invoice 536365 is 'cancellation', in line 2 it is 'order'"),
        (GOOD.replace("17850", ""), "customer of invoice 536365 is '', in line 2 it is '17850'"),
        (GOOD.replace(",6,", ",999999,"), "invoice 536365 has more than 1000000 pieces of 21730"),
        ('536365,"order', "it is no CSV"),
        ("x" * 5_000, "it is longer than 4096 bytes"),
    ],
)
def test_a_damaged_line_is_named(file, line, what):
    with pytest.raises(DamagedFileError) as refused:
        look(file(GOOD, line, GOOD))
    assert refused.value.detail.startswith(f"line {4 if line.endswith('"order') else 3}: {what}")


def test_an_invoice_with_more_skus_than_an_order_takes_is_damage(file):
    lines = [GOOD.replace("21730", f"S{number}") for number in range(1_501)]
    with pytest.raises(DamagedFileError, match="line 1502: invoice 536365 has more than 1500 different SKUs"):
        look(file(*lines))


@pytest.mark.parametrize("header", ["", "invoice,kind", HEADER.replace("kind", "sort"), GOOD])
def test_columns_that_are_not_named_are_damage(file, header):
    with pytest.raises(DamagedFileError, match="line 1: it must name the columns invoice,kind,"):
        look(file(GOOD, header=header))


def test_text_that_is_none_is_damage(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_bytes(f"{HEADER}\n{GOOD}\n".encode() + GOOD.replace("United", "Côte").encode("latin-1"))
    with pytest.raises(DamagedFileError, match="line 3: it is not UTF-8 text"):
        look(path)


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_compressed_file_that_is_cut_off_is_damage(tmp_path, keep):
    whole = SAMPLE.read_bytes()
    path = tmp_path / "sales.csv.gz"
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(DamagedFileError, match=r"line \d{4,}: here the compressed data is damaged or cut off"):
        look(path)


def test_a_compressed_file_with_a_broken_byte_is_damage(tmp_path):
    broken = bytearray(SAMPLE.read_bytes())
    broken[len(broken) // 2] ^= 255
    path = tmp_path / "sales.csv.gz"
    path.write_bytes(broken)
    with pytest.raises(DamagedFileError, match=r"line \d+: "):
        look(path)


def test_a_file_that_is_not_compressed_but_called_so_is_damage(tmp_path):
    path = tmp_path / "sales.csv.gz"
    path.write_text(f"{HEADER}\n{GOOD}\n")
    with pytest.raises(DamagedFileError, match="line 1: here the compressed data is damaged"):
        look(path)


def test_a_file_that_is_not_there_can_not_be_read(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UnreadableFileError, match="it can't be read: "):
            look(path)


def test_damage_behind_the_limit_is_found_too(file):
    path = file(GOOD, GOOD.replace("536365", "536366"), "damage")
    with pytest.raises(DamagedFileError, match="line 4"):
        look(path, limit=1)


def test_what_is_told_of_the_sample_is_what_is_in_it():
    # given
    lines = lines_of(SAMPLE)
    first = {line["invoice"]: line for line in reversed(lines)}
    orders = {name for name, line in first.items() if line["kind"] == "order"}
    pairs = {(line["invoice"], line["sku"]) for line in lines if line["invoice"] in orders}
    # when
    found = look(SAMPLE)
    # then
    assert (found.baskets, found.orders, found.cancellations) == (1_200, len(orders), 1_200 - len(orders))
    assert found.guests == sum(not first[name]["customer"] for name in orders)
    assert found.customers == len({line["customer"] for line in lines} - {""})
    assert found.lines == len(pairs)
    assert found.pieces.total() == sum(int(line["quantity"]) for line in lines if line["kind"] == "order")
    sizes = Counter(invoice for invoice, _ in pairs)
    assert (found.median, found.largest) == (median_low(sizes.values()), max(sizes.values())) == (14, 673)


def test_every_country_of_the_data_has_a_code_that_orders_take():
    assert set(CODES.values()) <= COUNTRIES
    assert (code_of("EIRE"), code_of("Unspecified")) == ("IE", "GB")
    assert {line["country"] for line in lines_of(SAMPLE)} <= CODES.keys()
