"""The state machine: any command in any order, and again; after each step the shop and the model agree."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from shop.sharding import new_id
from tests.machine.agreement import forget, loose_ends, said, stored
from tests.machine.model import Model
from tests.machine.shop import Shop
from tests.machine.things import OVER, SHORT, Attempt, Hold, Line, Order
from tests.machine.till import DEAD, PLACED
from tests.shards import SHARDS

PRICES = (100, 250, 999, 1299)
"""Of variant ``i``."""
SHARD_OF = [number % SHARDS for number in range(len(PRICES))]
CUSTOMERS = min(2, SHARDS)
"""Each on a shard of ordering's, of which nobody else's events come."""
ROUNDS = 3
"""After these nothing is due: a lost order is cancelled in the first, and its money back in the second."""

variants = st.sampled_from(range(len(PRICES)))
baskets = st.dictionaries(variants, st.integers(1, 2), min_size=1, max_size=2)
customers = st.integers(0, CUSTOMERS - 1)
which = st.integers(0, 5)
"""Of many things of a kind: 0 is the last that came, and most is done to that."""
rarely = st.sampled_from([False] * 5 + [True])
often = st.sampled_from([True, True, False])
tokens = st.sampled_from(["tok_ok", "tok_action", "tok_timeout", "tok_declined", "tok_slow"])
ASKED = ("adjust", "adjust", "reserve", "reserve", "commit", "cancel", "expire")
oddities = st.sampled_from([""] * 6 + ["disagrees", "killed"])
amounts = st.sampled_from([None, None, 1, 100, 500, 3000])

type Command = tuple[str, tuple[Any, ...]]


class Machine(RuleBasedStateMachine):
    """One shop from its opening to its end.

    A rule gives commands: a step's name and what it is about. `repeat` gives one again that was given before, as an
    impatient client does, a broker, or a process that took over from a dead one.
    """

    shop: Shop
    tally: Counter[tuple[str, str]] = Counter()
    numbers = count(1)

    def __init__(self) -> None:
        super().__init__()
        forget()
        self.model = Model(SHARD_OF, CUSTOMERS)
        self.in_step = False
        self.holds: list[Hold] = []
        self.refused: list[Order] = []
        self.commands: list[Command] = []

    def give(self, step: str, *about: Any, again: bool = True) -> None:
        """Do a step on both sides; both must end alike, and agree about everything then.

        Args:
            step: Its name.
            about: What it is about.
            again: Whether it may come again; not where its parts belong to the moment.
        """
        self.in_step = True
        found = getattr(self.shop, step)(*about)
        wanted = getattr(self.model, step)(*about)
        assert found == wanted, f"{step} ended with {found}; the model says {wanted}"
        if step == "reserve" and found == "out_of_stock":
            assert self.shop.refused == self.model.left
        self.tally[step, found] += 1
        self.the_books_agree()
        if again:
            self.commands.append((step, about))

    def new_order(self, customer: int, basket: dict[int, int]) -> Order:
        lines = [Line(variant=each, quantity=pieces, price=PRICES[each]) for each, pieces in basket.items()]
        return Order(id=new_id("ordering", near=self.shop.customers[customer]), lines=lines, customer=customer)

    def new_key(self, order: Order) -> int:
        return new_id("ordering", near=order.id)

    # ---- catalog -----------------------------------------------------------------------------------------------

    @initialize(
        pieces=st.lists(st.sampled_from([20, 5, 2]), min_size=4, max_size=4),
        first=st.lists(st.tuples(customers, baskets, st.none() | tokens), min_size=2, max_size=4),
    )
    def open_the_shop(self, pieces: list[int], first: list[tuple[int, dict[int, int], str | None]]) -> None:
        for variant, number in enumerate(pieces):
            self.give("adjust", variant, number, next(self.numbers), again=False)
        for customer, basket, token in first:
            self.buy(customer, basket, "", token)

    @rule(variant=variants, delta=st.integers(-3, 3), basket=baskets, step=st.sampled_from(ASKED), which=which)
    def ask_catalog(self, variant: int, delta: int, basket: dict[int, int], step: str, which: int) -> None:
        """Count a shelf, or ask for an order that ordering does not know, a new one or one of before."""
        if step == "adjust":
            self.give("adjust", variant, delta, next(self.numbers))
            return
        if which == 0 or not self.holds:
            lines = [Line(variant=each, quantity=pieces) for each, pieces in basket.items()]
            self.holds.append(Hold(id=new_id("ordering"), lines=lines))
        self.give(step, picked(self.holds, which))

    @precondition(lambda self: self.model.orders)
    @rule(which=which)
    def expire_hold(self, which: int) -> None:
        self.give("expire", picked(self.model.orders, which))

    # ---- ordering ----------------------------------------------------------------------------------------------

    def buy(self, customer: int, basket: dict[int, int], odd: str, token: str | None) -> None:
        """Place an order, and most times begin to pay it at once."""
        order = self.new_order(customer, basket)
        self.give("place", order, odd != "disagrees", odd == "killed", again=False)
        if not order.status:
            self.refused.append(order)
        elif token:
            self.give("pay", Attempt(id=self.new_key(order), order=order, token=token), False, False)

    @rule(customer=customers, basket=baskets, odd=oddities, token=st.none() | tokens)
    def somebody_buys(self, customer: int, basket: dict[int, int], odd: str, token: str | None) -> None:
        self.buy(customer, basket, odd, token)

    @precondition(lambda self: self.refused)
    @rule()
    def place_again(self) -> None:
        self.give("place", self.refused.pop(), True, False)

    @rule(customer=customers, basket=st.just({}) | baskets, pieces=st.integers(0, 2), odd=oddities, leaves=rarely)
    def shop_by_cart(self, customer: int, basket: dict[int, int], pieces: int, odd: str, leaves: bool) -> None:
        """Change some lines of the cart, and most times check it out."""
        cart = self.model.carts[customer]
        for variant in basket:
            self.give("put", cart, variant, pieces)
        if not leaves:
            candidate = self.new_order(customer, cart.lines)
            self.give("check_out", cart, candidate, odd != "disagrees", odd == "killed", again=False)

    @precondition(lambda self: self.model.orders)
    @rule(which=which, away=rarely)
    def cancel(self, which: int, away: bool) -> None:
        order = picked(self.model.orders, which)
        self.give("cancel_order", order, self.new_key(order), away)

    @precondition(lambda self: self.model.orders)
    @rule(which=which, time=st.sampled_from([SHORT, OVER]), swept=often, away=rarely)
    def pass_time(self, which: int, time: str, swept: bool, away: bool) -> None:
        order = picked(self.model.orders, which)
        self.let_time_pass(order, time)
        if swept:
            self.give("expire_overdue", away)

    def let_time_pass(self, order: Order, time: str) -> None:
        self.model.pass_time(order, time)  # first: it says since when
        self.shop.pass_time(order, time)

    # ---- money -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.orders)
    @rule(which=which, token=tokens, lost=rarely, killed=rarely)
    def pay(self, which: int, token: str, lost: bool, killed: bool) -> None:
        order = picked(self.model.orders, which)
        self.give("pay", Attempt(id=self.new_key(order), order=order, token=token), lost, killed)

    @precondition(lambda self: self.model.attempts())
    @rule(which=which, status=st.sampled_from(["captured", "captured", "failed"]), told=often, heard=often)
    def provider_acts(self, which: int, status: str, told: bool, heard: bool) -> None:
        """The customer is done there, or a bank was late; it is reported, or not yet, and the report applied."""
        attempt = picked(self.model.attempts(), which)
        self.give("finish", attempt, status)
        if told:
            self.give("report", attempt, f"evt_{next(self.numbers)}")
        if told and heard:
            self.give("apply_reports")

    @precondition(lambda self: self.model.stored)
    @rule()
    def apply_reports(self) -> None:
        self.give("apply_reports")

    @precondition(lambda self: self.model.unsettled())
    @rule(old=st.booleans(), away=rarely)
    def reconcile(self, old: bool, away: bool) -> None:
        self.give("reconcile", self.model.attempts(), old, away, again=False)

    @precondition(lambda self: self.model.attempts())
    @rule(which=which, amount=amounts, at_once=often, away=rarely)
    def refund(self, which: int, amount: int | None, at_once: bool, away: bool) -> None:
        order = picked(self.model.attempts(), which).order
        self.give("refund", order, amount, self.new_key(order))
        if at_once:
            self.give("give_back", away)

    @precondition(lambda self: self.model.owed())
    @rule(away=rarely)
    def give_back(self, away: bool) -> None:
        self.give("give_back", away)

    # ---- parcels and events ------------------------------------------------------------------------------------

    @precondition(lambda self: any(order.status == "placed" for order in self.model.orders))
    @rule(which=which, ended=st.booleans(), complete=st.booleans())
    def ship(self, which: int, ended: bool, complete: bool) -> None:
        """Send an order on its way, or to the end of it."""
        order = picked(self.model.orders, which)
        self.give("ship", order, self.new_key(order))
        if ended:
            self.give("deliver", order, self.new_key(order))
        if complete:
            self.give("complete")

    @precondition(lambda self: self.model.undelivered())
    @rule(shard=customers, catalog_away=rarely)
    def hand_over(self, shard: int, catalog_away: bool) -> None:
        self.give("hand_over", shard, catalog_away)

    @precondition(lambda self: self.model.orders)
    @rule(which=which)
    def handle_again(self, which: int) -> None:
        """An event comes twice, or before its time: what counts is how the order stands."""
        order = picked(self.model.orders, which)
        if order.status in ("placed", "completed"):
            self.give("handle", PLACED, order)
        elif order.status in ("cancelled", "expired"):
            self.give("handle", DEAD, order)

    @precondition(lambda self: self.commands)
    @rule(which=st.integers(0, 20))
    def repeat(self, which: int) -> None:
        step, about = picked(self.commands, which)
        self.give(step, *about)

    # ---- what must hold ----------------------------------------------------------------------------------------

    def the_books_agree(self) -> None:
        found, wanted = stored(self.shop), said(self.model)
        assert found == wanted, {name: (found[name], wanted[name]) for name in found if found[name] != wanted[name]}
        self.in_step = False

    def teardown(self) -> None:
        """Let everything come to its end; then nothing is left open, held for nobody, or owed."""
        if self.in_step:
            return  # it has broken off
        for order in self.model.orders:
            self.let_time_pass(order, OVER)
        for _ in range(ROUNDS):
            for step, *about in self.due():
                self.give(step, *about, again=False)
        for hold in self.model.holds:
            if not isinstance(hold, Order) or not hold.status:
                self.give("cancel", hold)
        ends = loose_ends(self.model, self.holds)
        assert not ends, ends

    def due(self) -> Iterator[tuple[Any, ...]]:
        """Of the jobs that come round those that find something to do; and a provider reports until it is heard."""
        model = self.model
        for attempt in model.attempts():
            if attempt.theirs == "captured" != attempt.status:
                yield "report", attempt, f"evt_{next(self.numbers)}"
        if model.stored:
            yield ("apply_reports",)
        if model.overdue():
            yield "expire_overdue", False
        if model.unsettled():
            yield "reconcile", model.attempts(), True, False
        if model.owed():
            yield "give_back", False
        for shard in range(CUSTOMERS):
            yield "hand_over", shard, False


def picked[T](things: Sequence[T], which: int) -> T:
    """The last of them, or one of those that came before it."""
    return things[-1 - which % len(things)]
