"""A customer's address book, in the customer's bucket. `api` comes in here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contexts.auth.domain import MAX_ADDRESSES, AddressCard, TooManyAddressesError
from contexts.auth.models import Address
from contexts.auth.services.customers import CONTEXT, locked_customer
from shop.contract import Fault, NotFoundError
from shop.gateway.tokens import TokenInvalidError
from shop.sharding import bucket_of, shard_atomic
from shop.sharding.scatter import Page
from shop.sharding.sharded import ShardedQuerySet


def list_addresses(*, customer_id: int, limit: int, after: Sequence[Any] | None) -> Page[AddressCard]:
    """A customer's addresses, newest first; ``after`` holds the ID of the last one seen. Database: one read."""
    rows = _of(customer_id)
    if after is not None:
        rows = rows.filter(pk__lt=after[0])
    found = list(rows.order_by("-pk")[: limit + 1])
    return Page(rows=[_card(row) for row in found[:limit]], more=len(found) > limit)


def add_address(
    *,
    address_id: int,
    customer_id: int,
    fields: Mapping[str, str],
    within_effect: Callable[[AddressCard], None],
) -> AddressCard:
    """Enter an address under the ID given.

    Args:
        address_id: Of the customer's bucket; a second attempt under it finds what the first one made.
        customer_id: Whose book.
        fields: What the address says, by name.
        within_effect: Called with the address within its transaction, as the last thing.

    Raises:
        TokenInvalidError: The account is gone.
        TooManyAddressesError: The book is full.

    Database: the customer's shard, one transaction. Safe to repeat: yes, by ``address_id``.
    """
    with shard_atomic(CONTEXT, customer_id):
        if locked_customer(customer_id) is None:  # the lock also makes the count below exact
            raise TokenInvalidError(detail="this account is gone")
        row = _entry(address_id, customer_id).first()
        if row is None:
            _refuse_full(_of(customer_id).count())
            row = Address(id=address_id, customer_id=customer_id)
            for name, text in fields.items():
                setattr(row, name, text)
            row.save(force_insert=True)
        made = _card(row)
        within_effect(made)
    return made


def change_address(*, address_id: int, customer_id: int, fields: Mapping[str, str]) -> AddressCard:
    """Change what an address says.

    Raises:
        NotFoundError: There is none, or it is somebody else's.

    Database: the customer's shard, one transaction. Safe to repeat: yes.
    """
    with shard_atomic(CONTEXT, customer_id):
        found = _entry(address_id, customer_id)
        if fields:
            found.update(**fields)
        row = found.first()
    if row is None:
        raise _not_found()
    return _card(row)


def remove_address(*, address_id: int, customer_id: int) -> None:
    """Take an address out of the book.

    Raises:
        NotFoundError: There is none, or it is somebody else's.

    Database: the customer's shard, one transaction.
    """
    with shard_atomic(CONTEXT, customer_id):
        gone, _ = _entry(address_id, customer_id).delete()
    if not gone:
        raise _not_found()


def _of(customer_id: int) -> ShardedQuerySet[Address]:
    rows: ShardedQuerySet[Address] = Address.objects.on(customer_id).filter(customer_id=customer_id)
    return rows


def _entry(address_id: int, customer_id: int) -> ShardedQuerySet[Address]:
    """The address, if it is the customer's. One of another bucket can't be, and may lie on another shard."""
    if bucket_of(address_id) != bucket_of(customer_id):
        raise _not_found()
    return _of(customer_id).filter(pk=address_id)


def _not_found() -> NotFoundError:
    return NotFoundError(detail="there is no such address")


def _refuse_full(entered: int) -> None:
    if entered >= MAX_ADDRESSES:
        detail = f"at most {MAX_ADDRESSES} addresses; remove one first"
        raise TooManyAddressesError(detail=detail, faults=(Fault(field="", code="out_of_range", detail=detail),))


def _card(row: Address) -> AddressCard:
    return AddressCard(
        id=row.pk,
        name=row.name,
        line1=row.line1,
        line2=row.line2,
        city=row.city,
        region=row.region,
        postal_code=row.postal_code,
        country=row.country,
    )
