"""What must hold whatever happened, and the machine that looks whether it does. Contexts declare theirs in `apps`."""

from shop.invariants.events import events_under_way
from shop.invariants.registry import invariant
from shop.invariants.windows import Window, over
from shop.invariants.words import Check, Finding

__all__ = ["Check", "Finding", "Window", "events_under_way", "invariant", "over"]
