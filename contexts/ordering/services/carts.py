"""Carts: what a customer means to buy, shown at today's prices."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Final

from contexts.catalog.contract import CatalogService, NotForSaleError, Offer, Refusal
from contexts.ordering.contract import CartFullError
from contexts.ordering.domain import MAX_LINES
from contexts.ordering.models import Cart, CartLine
from contexts.ordering.models.statements import CART
from shop.contract import Money, UnavailableError
from shop.services import resolve
from shop.sharding import new_id, shard_atomic
from shop.sharding.statements import parsed
from shop.sharding.together import insert_if_new

ROUNDS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CartLineView:
    """One line at the offer of this moment."""

    variant_id: int
    sku: str
    name: str
    quantity: int
    unit_price: Money
    total: int
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CartView:
    """A cart; lines in the order of their coming. ``total`` is None where there is none, or no one currency."""

    version: int
    lines: tuple[CartLineView, ...]
    total: Money | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cart:
    """A cart as it is stored: by variant the line's ID and its quantity, in the order of their coming."""

    id: int
    version: int
    lines: Mapping[int, tuple[int, int]]


def show_cart(*, customer_id: int) -> CartView:
    """The customer's cart at today's prices. Asks catalog; what is not for sale any more has nothing available.

    Database: one read on the customer's shard.
    """
    cart = _stored(customer_id)
    if cart is None:
        return CartView(version=0, lines=(), total=None)
    return _view(cart, _offers(cart.lines))


def put_line(*, customer_id: int, variant_id: int, quantity: int) -> CartView:
    """Let the cart hold ``quantity`` pieces of a variant; 0 removes it. Safe to repeat.

    Database: the customer's shard, one short transaction. Whoever has seen the cart's version may change it; the others
    look again.

    Raises:
        VariantNotFoundError: There is no such variant.
        NotForSaleError: Its product is not active.
        CartFullError: It would hold more lines than an order may have.
        UnavailableError: The cart keeps changing.
    """
    for _ in range(ROUNDS):
        cart = _stored(customer_id) or _new_cart(customer_id)
        offers = _offers([*cart.lines, variant_id])
        if quantity and not offers[variant_id].for_sale:
            refused = (Refusal(variant_id=str(variant_id)),)
            raise NotForSaleError(detail="the product is not for sale", lines=refused)
        if quantity and variant_id not in cart.lines and len(cart.lines) >= MAX_LINES:
            raise CartFullError(detail=f"a cart holds {MAX_LINES} lines at most")
        line_id, before = cart.lines.get(variant_id, (0, 0))
        after = cart if before == quantity else _change(cart, line_id, variant_id, quantity)
        if after is not None:
            return _view(after, offers)
    raise UnavailableError(detail="the cart keeps changing; try again")


def _stored(customer_id: int) -> _Cart | None:
    for number, version, lines in CART.read("ordering", customer_id, customer_id=customer_id):
        by_variant = {variant_id: (line_id, quantity) for line_id, variant_id, quantity in sorted(parsed(lines))}
        return _Cart(id=number, version=version, lines=by_variant)
    return None


def _new_cart(customer_id: int) -> _Cart:
    """A customer has one cart: whoever comes second finds that out by the version, and looks again."""
    row = Cart(id=new_id("ordering", near=customer_id), customer_id=customer_id)
    insert_if_new("ordering", row)
    return _Cart(id=row.pk, version=row.version, lines={})


def _change(cart: _Cart, line_id: int, variant_id: int, quantity: int) -> _Cart | None:
    """Set one line and raise the version; None if the cart is not what it was."""
    lines = dict(cart.lines)
    with shard_atomic("ordering", cart.id):
        seen = Cart.objects.filter(pk=cart.id, version=cart.version)
        if not seen.update(version=cart.version + 1):
            return None
        if not quantity:
            CartLine.objects.filter(pk=line_id).delete()
            del lines[variant_id]
        elif line_id:
            CartLine.objects.filter(pk=line_id).update(quantity=quantity)
            lines[variant_id] = line_id, quantity
        else:
            row = CartLine(id=new_id("ordering", near=cart.id), cart_id=cart.id)
            row.variant_id, row.quantity = variant_id, quantity
            row.save(force_insert=True)
            lines[variant_id] = row.pk, quantity
    return _Cart(id=cart.id, version=cart.version + 1, lines=lines)


def clear_cart(*, customer_id: int) -> None:
    """Remove every line. Safe to repeat."""
    with shard_atomic("ordering", customer_id):
        cart = Cart.objects.select_for_update().filter(customer_id=customer_id).first()
        if cart is not None and CartLine.objects.filter(cart_id=cart.pk).delete()[0]:
            cart.version += 1
            cart.save(update_fields=("version",))


def _offers(variant_ids: Collection[int]) -> dict[int, Offer]:
    found: dict[int, Offer] = {}
    for asked in batched(dict.fromkeys(variant_ids), MAX_LINES):
        offers = resolve(CatalogService).offers(variant_ids=[str(each) for each in asked])
        found |= zip(asked, offers, strict=True)
    return found


def _view(cart: _Cart, offers: Mapping[int, Offer]) -> CartView:
    lines = tuple(_line_view(each, quantity, offers[each]) for each, (_, quantity) in cart.lines.items())
    return CartView(version=cart.version, lines=lines, total=_total(lines))


def _line_view(variant_id: int, quantity: int, offer: Offer) -> CartLineView:
    return CartLineView(
        variant_id=variant_id,
        sku=offer.sku,
        name=offer.name,
        quantity=quantity,
        unit_price=offer.price,
        total=quantity * offer.price.amount,
        available=offer.available if offer.for_sale else 0,
    )


def _total(lines: Sequence[CartLineView]) -> Money | None:
    currencies = {line.unit_price.currency for line in lines}
    if len(currencies) != 1:
        return None
    return Money(amount=sum(line.total for line in lines), currency=currencies.pop())
