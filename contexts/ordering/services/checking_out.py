"""Checking out: the cart becomes an order. All checkouts of one version of a cart make the same order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from contexts.catalog.contract import ReservationCancelledError
from contexts.ordering.contract import CartEmptyError, OrderLineRequest, TotalChangedError
from contexts.ordering.domain import OrderStatus
from contexts.ordering.models import Cart, CartLine, Order
from contexts.ordering.services.placing import NewOrder, place_order
from contexts.ordering.services.reading import known_order
from contexts.ordering.services.views import OrderView
from shop.contract import Money
from shop.sharding import new_id, shard_atomic


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checkout:
    """One version of a cart, and the order that it becomes; ``follows_checkout``: that emptied it just before."""

    cart_id: int
    version: int
    order_id: int
    lines: tuple[OrderLineRequest, ...]
    follows_checkout: bool


def checkout(
    *,
    order_id: int,
    customer_id: int,
    shipping_address: Mapping[str, str | None],
    expected_total: Money | None,
    repeated: bool,
    within_effect: Callable[[OrderView], None],
) -> OrderView:
    """Make the cart's lines an order that waits for its payment, and empty the cart.

    While that order waits, checking the emptied cart out gives the same order again.
    Emits: OrderCreated. Database: the customer's shard; the order, its event and the empty cart in one transaction.
    Safe to repeat, and at once: whoever begins on a version first says which ID its order has.

    Args:
        order_id: The ID the order gets if this is the first checkout of the cart's version.
        customer_id: Whose cart it is.
        shipping_address: Where the order goes.
        expected_total: What the shopper agreed to.
        repeated: Whether an earlier request may have made the order under this ID.
        within_effect: Called with the order inside the transaction that writes it.

    Raises:
        CartEmptyError: There is nothing to check out.
        TotalChangedError: Not what was agreed to, or the cart was changed meanwhile.
        OutOfStockError, NotForSaleError, CurrencyMismatchError: As when placing an order.
    """
    if repeated and (known := known_order(order_id)):
        return known
    begun = _begin(customer_id, order_id, fresh=repeated)
    if not begun.lines:
        return _order_of_emptied_cart(begun)
    new = NewOrder(
        order_id=begun.order_id,
        customer_id=customer_id,
        lines=begun.lines,
        shipping_address=shipping_address,
        expected_total=expected_total,
        repeated=repeated or begun.order_id != order_id,
        within_order=partial(_empty, begun),
        give_up=partial(_give_up, begun),
    )
    try:
        return place_order(new, within_effect=within_effect)
    except ReservationCancelledError:
        raise TotalChangedError(detail="the cart was checked out with another total meanwhile") from None


def _begin(customer_id: int, candidate: int, *, fresh: bool) -> _Checkout:
    """The checkout of the cart's present version; the first one to come gives its order the ID.

    ``fresh``: the candidate may hold another version's pieces, for a request that was cut off. What it holds expires.
    """
    with shard_atomic("ordering", customer_id):
        cart = Cart.objects.select_for_update().filter(customer_id=customer_id).first()
        if cart is None:
            raise CartEmptyError(detail="the cart is empty")
        rows = list(CartLine.objects.filter(cart_id=cart.pk).order_by("id"))
        if rows and cart.checkout_version != cart.version:
            cart.checkout_version = cart.version
            cart.checkout_order_id = new_id("ordering", near=customer_id) if fresh else candidate
            cart.save(update_fields=("checkout_version", "checkout_order_id"))
    return _Checkout(
        cart_id=cart.pk,
        version=cart.version,
        order_id=cart.checkout_order_id or 0,
        lines=tuple(OrderLineRequest(variant_id=str(row.variant_id), quantity=row.quantity) for row in rows),
        follows_checkout=cart.checkout_version is not None and cart.version == cart.checkout_version + 1,
    )


def _order_of_emptied_cart(begun: _Checkout) -> OrderView:
    order = known_order(begun.order_id) if begun.follows_checkout else None
    if order is None or order.status != OrderStatus.PENDING_PAYMENT:
        raise CartEmptyError(detail="the cart is empty")
    return order


def _empty(begun: _Checkout, order: Order) -> None:
    """Take the cart's version for ``order``, in the order's transaction.

    Raises:
        TotalChangedError: The cart is not what it was, or another checkout has given this order up.
    """
    seen = Cart.objects.filter(pk=begun.cart_id, version=begun.version, checkout_order_id=begun.order_id)
    if not seen.update(version=begun.version + 1):
        raise TotalChangedError(detail="the cart has changed")
    order.cart_id, order.cart_version = begun.cart_id, begun.version
    CartLine.objects.filter(cart_id=begun.cart_id).delete()


def _give_up(begun: _Checkout) -> bool:
    """Let the next checkout make an order under another ID, since this one's pieces are given back for good.

    Another checkout of the same version may be writing the order: the cart's row decides who comes first.
    """
    with shard_atomic("ordering", begun.cart_id):
        cart = Cart.objects.select_for_update().filter(pk=begun.cart_id).first()
        if Order.objects.filter(pk=begun.order_id).exists():
            return False
        if cart is not None and cart.checkout_order_id == begun.order_id:
            cart.checkout_version = cart.checkout_order_id = None
            cart.save(update_fields=("checkout_version", "checkout_order_id"))
    return True
