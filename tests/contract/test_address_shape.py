"""An address as auth keeps it is one that ordering sends to: both take the same fields, and refuse the same."""

import pytest
from pydantic import ValidationError

from contexts.auth.api.bodies import AddressIn as Kept
from contexts.ordering.api.bodies import ShippingAddressIn as Sent

pytestmark = pytest.mark.once

FULL = {
    "name": "Ada",
    "line1": "1",
    "line2": "b",
    "city": "London",
    "region": "r",
    "postal_code": "SW1",
    "country": "GB",
}
TEXTS: list[object] = [
    None,
    "",
    " ",
    "x",
    " x ",
    "x" * 20,
    "x" * 21,
    "x" * 200,
    "x" * 201,
    f" {'x' * 200} ",
    "é😀",
    "GB",
    "gb",
    "XX",
    7,
    [],
    {},
]


def kept(address):
    body = Kept(data=address)
    return dict(body.validated_data) if body.is_valid() else None


def sent(address):
    try:
        return Sent.model_validate(address).model_dump()
    except ValidationError:
        return None


@pytest.mark.parametrize("field", [*FULL, "id"])
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text)[:12])
def test_both_read_a_field_alike(field, text):
    assert kept(FULL | {field: text}) == sent(FULL | {field: text})


@pytest.mark.parametrize("field", FULL)
def test_both_need_the_same_fields(field):
    without = {name: text for name, text in FULL.items() if name != field}
    assert (kept(without) is None) == (sent(without) is None) == (field not in ("line2", "region"))
