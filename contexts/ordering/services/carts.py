"""Carts: what a customer means to buy, shown at today's prices."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError

from contexts.catalog.contract import CatalogService, NotForSaleError, Offer, Refusal
from contexts.ordering.contract import CartFullError
from contexts.ordering.domain import MAX_LINES
from contexts.ordering.models import Cart, CartLine
from shop.contract import Money
from shop.services import resolve
from shop.sharding import new_id, shard_atomic


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


def show_cart(*, customer_id: int) -> CartView:
    """The customer's cart at today's prices. Asks catalog; what is not for sale any more has nothing available."""
    cart: Cart | None = Cart.objects.filter(customer_id=customer_id).first()
    if cart is None:
        return CartView(version=0, lines=(), total=None)
    rows: Sequence[CartLine] = list(cart.lines.order_by("id"))
    offers = resolve(CatalogService).offers(variant_ids=[str(row.variant_id) for row in rows]) if rows else ()
    lines = tuple(_line_view(row, offer) for row, offer in zip(rows, offers, strict=True))
    return CartView(version=cart.version, lines=lines, total=_total(lines))


def put_line(*, customer_id: int, variant_id: int, quantity: int) -> CartView:
    """Let the cart hold ``quantity`` pieces of a variant; 0 removes it. Safe to repeat.

    Raises:
        VariantNotFoundError: There is no such variant.
        NotForSaleError: Its product is not active.
        CartFullError: It would hold more lines than an order may have.
    """
    [offer] = resolve(CatalogService).offers(variant_ids=[str(variant_id)])
    if quantity and not offer.for_sale:
        refused = (Refusal(variant_id=str(variant_id)),)
        raise NotForSaleError(detail="the product is not for sale", lines=refused)
    _ensure_cart(customer_id)
    with shard_atomic("ordering", customer_id):
        cart = Cart.objects.select_for_update().get(customer_id=customer_id)
        line = CartLine.objects.filter(cart_id=cart.pk, variant_id=variant_id).first()
        if line is None and quantity and CartLine.objects.filter(cart_id=cart.pk).count() >= MAX_LINES:
            raise CartFullError(detail=f"a cart holds {MAX_LINES} lines at most")
        if (line.quantity if line else 0) != quantity:
            _write_line(cart, line, variant_id, quantity)
            cart.version += 1
            cart.save(update_fields=("version",))
    return show_cart(customer_id=customer_id)


def clear_cart(*, customer_id: int) -> None:
    """Remove every line. Safe to repeat."""
    with shard_atomic("ordering", customer_id):
        cart = Cart.objects.select_for_update().filter(customer_id=customer_id).first()
        if cart is not None and CartLine.objects.filter(cart_id=cart.pk).delete()[0]:
            cart.version += 1
            cart.save(update_fields=("version",))


def _ensure_cart(customer_id: int) -> None:
    if Cart.objects.filter(customer_id=customer_id).exists():
        return
    try:
        with shard_atomic("ordering", customer_id):
            Cart.objects.create(id=new_id("ordering", near=customer_id), customer_id=customer_id)
    except IntegrityError:
        return  # another request was faster: a customer has one cart


def _write_line(cart: Cart, line: CartLine | None, variant_id: int, quantity: int) -> None:
    if line is None:
        CartLine.objects.create(
            id=new_id("ordering", near=cart.pk), cart=cart, variant_id=variant_id, quantity=quantity
        )
    elif quantity:
        line.quantity = quantity
        line.save(update_fields=("quantity",))
    else:
        line.delete()


def _line_view(row: CartLine, offer: Offer) -> CartLineView:
    return CartLineView(
        variant_id=row.variant_id,
        sku=offer.sku,
        name=offer.name,
        quantity=row.quantity,
        unit_price=offer.price,
        total=row.quantity * offer.price.amount,
        available=offer.available if offer.for_sale else 0,
    )


def _total(lines: Sequence[CartLineView]) -> Money | None:
    currencies = {line.unit_price.currency for line in lines}
    if len(currencies) != 1:
        return None
    return Money(amount=sum(line.total for line in lines), currency=currencies.pop())
