"""The model's shelf: pieces on hand, and what holds them. What `CatalogService` promises, in a few loops."""

from tests.machine.things import ABSENT, CANCELLED, COMMITTED, EXPIRED, FINAL, HELD, RETURNED, Hold, Line

FINE = "ok"


class Shelf:
    """Stock of a few variants, by number; ``shard_of[i]`` is where variant ``i`` lies."""

    def __init__(self, shard_of: list[int]) -> None:
        self.shard_of = shard_of
        self.on_hand = [0] * len(shard_of)
        self.holds: list[Hold] = []
        self.commands: dict[int, str] = {}
        self.left: dict[int, int] = {}
        """Of the last refusal: what was left of each short variant."""

    def reserved(self, variant: int) -> int:
        lines = [line for hold in self.holds for line in hold.lines]
        return sum(line.quantity for line in lines if line.variant == variant and line.state == HELD)

    def free(self, variant: int) -> int:
        return self.on_hand[variant] - self.reserved(variant)

    def know(self, hold: Hold) -> None:
        if hold not in self.holds:
            self.holds.append(hold)

    def adjust(self, variant: int, delta: int, command: int) -> str:
        """A command is carried out once, and refused once: its outcome is what a repetition gets."""
        if command not in self.commands:
            enough = self.free(variant) + delta >= 0
            self.on_hand[variant] += delta if enough else 0
            self.commands[command] = FINE if enough else "stock_would_be_negative"
        return self.commands[command]

    def reserve(self, hold: Hold) -> str:
        """Shard by shard, all lines or none; a refusal lets go of what this or an earlier attempt holds."""
        self.know(hold)
        self.left = {}
        for lines in self._by_shard(hold):
            if not self.left and any(line.state in FINAL for line in lines):
                self.expire(hold)
                return "reservation_cancelled"
            taking = [line for line in lines if line.state in (ABSENT, EXPIRED)]
            self.left |= {line.variant: self.free(line.variant) for line in self._short(taking)}
            for line in [] if self.left else taking:
                line.state = HELD
        if self.left:
            self.expire(hold)
            return "out_of_stock"
        return FINE

    def _by_shard(self, hold: Hold) -> list[list[Line]]:
        shards = sorted(set(self.shard_of))
        groups = [[line for line in hold.lines if self.shard_of[line.variant] == shard] for shard in shards]
        return [group for group in groups if group]

    def _short(self, lines: list[Line]) -> list[Line]:
        return [line for line in lines if self.free(line.variant) < line.quantity]

    def expire(self, hold: Hold) -> str:
        for line in hold.lines:
            if line.state == HELD:
                line.state = EXPIRED
        return FINE

    def commit(self, hold: Hold) -> str:
        """Shard by shard; what had expired is taken again, all of a shard or none."""
        self.know(hold)
        short = False
        for lines in self._by_shard(hold):
            if any(line.state in FINAL for line in lines):
                return "reservation_cancelled"
            lapsed = [line for line in lines if line.state == EXPIRED]
            if self._short(lapsed) or any(line.state == ABSENT for line in lines):
                short = True
                continue
            for line in lines:
                if line.state != COMMITTED:
                    self.on_hand[line.variant] -= line.quantity
                line.state = COMMITTED
        return "out_of_stock" if short else FINE

    def cancel(self, hold: Hold) -> str:
        self.know(hold)
        for line in hold.lines:
            if line.state == COMMITTED:
                line.state = RETURNED
                self.on_hand[line.variant] += line.quantity
            elif line.state not in FINAL:
                line.state = CANCELLED
        return FINE
