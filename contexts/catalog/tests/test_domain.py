"""Pure rules: folding, slugs, names of offers."""

import pytest

from contexts.catalog.domain import MAX_NAME_KEY, fold, name_key, offer_name, sku_key, slug_of


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Café  Noir", "cafe noir"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        (" \u00a0Blue\tMug ", "blue mug"),
        ("Ångström", "angstrom"),
        ("茶", "茶"),
        ("№5 Tea™", "no5 teatm"),
    ],
)
def test_case_accents_and_runs_of_blanks_do_not_count(text, folded):
    assert fold(text) == folded


def test_what_is_folded_is_folded_for_good():
    """Whatever the letter stands for: one engine's index folds A to Z once more, the other's does not."""
    letters = [chr(number) for number in range(0x20000) if not 0xD800 <= number <= 0xDFFF]
    assert [letter for letter in letters if fold(fold(letter)) != fold(letter)] == []


def test_a_sort_key_fits_its_column_however_much_folding_lengthens_the_name():
    assert len(name_key("\ufdfa" * 200)) == MAX_NAME_KEY


def test_two_skus_that_differ_in_case_are_one():
    assert sku_key(" 85123a ") == sku_key("85123A")


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Kitchen & Dining", "kitchen-dining"), ("Über-Taschen", "uber-taschen"), ("茶", ""), ("x" * 200, "x" * 100)],
)
def test_a_slug_is_made_of_the_name(name, slug):
    assert slug_of(name) == slug


def test_an_offer_is_named_after_its_product_and_options():
    assert offer_name("Mug", {}) == "Mug"
    assert offer_name("Mug", {"size": "M", "colour": "red"}) == "Mug (M, red)"
