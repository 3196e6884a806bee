"""IDs: their parts, their public form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.sharding.ids import BUCKETS, bucket_of, compose, created_ms_of, key_of_bucket
from shop.sharding.public_ids import (
    ALPHABET,
    InvalidPublicId,
    number_of,
    order_number,
    permute,
    public_id,
    unpermute,
)

NUMBERS = st.integers(0, 2**63 - 1)


@given(st.integers(0, BUCKETS - 1), st.integers(0, 2**41 - 1), st.integers(0, 1023))
def test_the_parts_of_an_id_come_back(bucket, tick, worker):
    number = compose(bucket=bucket, tick=tick, worker=worker)
    assert 0 <= number < 2**63
    assert bucket_of(number) == bucket
    assert created_ms_of(number) - created_ms_of(key_of_bucket(0)) == tick


@given(NUMBERS)
def test_the_permutation_is_one_to_one(number):
    assert unpermute(permute(number)) == number
    assert 0 <= permute(number) < 2**63


@given(NUMBERS)
def test_a_public_id_decodes_to_its_number(number):
    text = public_id("ord", number)
    assert number_of("ord", text) == number
    assert len(text) == len("ord_") + 14
    assert order_number(number).replace("-", "") == text.removeprefix("ord_")


@given(NUMBERS, st.integers(0, 13), st.integers(1, 31))
def test_every_single_wrong_character_is_noticed(number, position, shift):
    body = public_id("ord", number).removeprefix("ord_")
    other = ALPHABET[(ALPHABET.index(body[position]) + shift) % 32]
    with pytest.raises(InvalidPublicId):
        number_of("ord", f"ord_{body[:position]}{other}{body[position + 1 :]}")


@given(NUMBERS, st.integers(0, 13), st.integers(0, 13))
def test_every_swap_of_two_characters_is_noticed(number, left, right):
    body = list(public_id("ord", number).removeprefix("ord_"))
    if body[left] == body[right]:
        return
    body[left], body[right] = body[right], body[left]
    with pytest.raises(InvalidPublicId):
        number_of("ord", "ord_" + "".join(body))


@pytest.mark.parametrize(
    "text", ["", "ord_", "ord", "prd_00000000000000", "ord_0000000000000", "ord_!", "ord_" + "é" * 14]
)
def test_what_is_no_public_id_is_refused(text):
    with pytest.raises(InvalidPublicId):
        number_of("ord", text)
