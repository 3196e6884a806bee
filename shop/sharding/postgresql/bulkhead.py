"""Who waits for one database, and whether it answers at all. One per alias and process; its connections come in here.

A black hole is no error: the network takes what is sent, and nothing ever comes back. So every wait for PostgreSQL
passes through `Bulkhead.attended`. While answers come, that costs a microsecond or two. A thread that hears nothing
looks around every `LOOK_SECONDS`; once the whole database has been silent for long, a watch asks it on a connection of
its own. If that is answered, the statement is merely slow and is left alone. If not, the database is down for this
process: all who wait are let go, nobody else begins, and the watch asks on until it is answered again.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from time import monotonic, sleep
from typing import Final

import psycopg
import structlog

from shop.observability.metrics import DATABASE_DOWN, DATABASE_REFUSED
from shop.sharding.errors import ShardUnavailable
from shop.sharding.postgresql.asking import addresses_of, answers

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.05
CROWDED_AFTER_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 0.25
LONGEST_PATIENCE_SECONDS: Final = 5.0
ASK_AGAIN_SECONDS: Final = 1.0
REMEMBERED_SECONDS: Final = 60.0
"""How long a silence that ended well is taken for usual."""


class Shut(Enum):
    """Why nobody may begin to wait; `FULL` is said to those only who waited for a connection."""

    CROWDED = "crowded"
    DOWN = "down"
    FULL = "full"


TOLD: Final = {
    Shut.CROWDED: "answers slowly, and enough wait for it",
    Shut.DOWN: "does not answer",
    Shut.FULL: "has no connection free",
}


@dataclass(slots=True)
class _Silence:
    """How long one thread has heard nothing, neither on its own connection nor of anybody else's.

    Attributes:
        fresh: Whether it is in the middle of nothing, so that it may be let go where too many wait.
        patience: After so long it has the watch ask; more each time that its database turned out to be there.
    """

    since: float
    signs: int
    fresh: bool
    patience: float = PATIENCE_SECONDS


class Bulkhead:
    """The way to one database.

    Attributes:
        shut: Why nobody may begin to wait, if so.
        epoch: Grows when the database is lost; connections of an earlier one are not used again.
        tables: Grows when a table turned out to be another than the one that a statement was prepared for.
        conninfo: How its connections are made, as libpq takes it. Holds the password: not for logs.
        addresses: The same for each address that its names had at the last connecting.
    """

    def __init__(self, alias: str, *, most_waiting: int, ask: Callable[[str], bool] = answers) -> None:
        self.alias = alias
        self.shut: Shut | None = None
        self.epoch = 0
        self.tables = 0
        self.conninfo = ""
        self.addresses: Sequence[str] = ("",)
        self.most_waiting = most_waiting
        self._ask = ask
        self._waiting: set[object] = set()
        self._signs = 0
        self._usual, self._usual_until = 0.0, 0.0
        self._changing = threading.Lock()
        self._watching = threading.Lock()
        DATABASE_DOWN.labels(alias).set(0)

    def enter(self, *, fresh: bool) -> None:
        """Refuse to begin where it is shut; who is within a transaction, and not ``fresh``, is refused only when down.

        Raises:
            ShardUnavailable: It is.
        """
        shut = self.shut
        if shut is Shut.DOWN or (shut is Shut.CROWDED and fresh):
            raise self.refusal(shut)

    def attended[S, R](self, asking: Generator[S, int, R], *, fresh: bool = True) -> Generator[S, int, R]:
        """The driver's generator as it is: it yields when it waits for the network, and gets 0 while that is idle.

        Raises:
            ShardUnavailable: The database is down; or half of the process's threads wait in silence already, and this
                one is ``fresh``: not within a transaction.
        """
        try:
            step = next(asking)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # nothing had to be asked
        self._waiting.add(asking)
        signs, silence = self._signs, None
        try:
            while True:
                if not (ready := (yield step)):
                    silence = silence or _Silence(monotonic() - LOOK_SECONDS, signs, fresh)
                    self._look(silence)
                elif silence is not None:
                    self._remember(silence)
                    silence = None
                step = asking.send(ready)
        except StopIteration as done:
            self._sign()
            return done.value  # type: ignore[no-any-return]  # what a generator returns is R
        except psycopg.Error as error:
            if error.sqlstate:  # the server's own word, that is a sign of life
                self._sign()
            raise
        finally:
            self._leave(asking)

    @contextmanager
    def queueing(self) -> Iterator[Callable[[], None]]:
        """Count this thread among those who wait, though it is for a connection.

        What it yields is to be called every `LOOK_SECONDS`.

        Raises:
            ShardUnavailable: The database is down meanwhile, or half of the process's threads wait for it.
        """
        me, since = object(), monotonic()

        def look() -> None:
            if self.shut is Shut.DOWN:
                raise self.refusal(Shut.DOWN)
            if monotonic() - since >= self._unusual():
                self._thin_out()

        self._waiting.add(me)
        try:
            yield look
        finally:
            self._leave(me)

    def refusal(self, why: Shut) -> ShardUnavailable:
        """What to raise; it is counted."""
        DATABASE_REFUSED.labels(self.alias, why.value).inc()
        return ShardUnavailable(detail=f"{self.alias} {TOLD[why]}; try again")

    def _leave(self, asking: object) -> None:
        self._waiting.discard(asking)
        if self.shut is Shut.CROWDED and len(self._waiting) < self.most_waiting:
            self._change(Shut.CROWDED, None)

    def _sign(self) -> None:
        """Something was answered. Not counted exactly: that it changes is enough."""
        self._signs += 1
        if self.shut is Shut.CROWDED:
            self._change(Shut.CROWDED, None)

    def _look(self, silence: _Silence) -> None:
        if self.shut is Shut.DOWN:
            raise self.refusal(Shut.DOWN)
        if silence.signs != self._signs:  # others are answered: this one is slow, and doubted less and less often
            self._remember(silence)
            silence.since, silence.signs = monotonic(), self._signs
            silence.patience = min(2 * silence.patience, LONGEST_PATIENCE_SECONDS)
            return
        lasts = monotonic() - silence.since
        if lasts >= silence.patience:
            self._watch()
        if silence.fresh and silence.patience == PATIENCE_SECONDS and lasts >= self._unusual():
            self._thin_out()

    def _thin_out(self) -> None:
        """Let go of who is one too many; keep others out while there is no room."""
        with self._changing:
            surplus = len(self._waiting) - self.most_waiting
            if surplus >= 0 and self.shut is None:
                self.shut = Shut.CROWDED
        if surplus > 0:
            raise self.refusal(Shut.CROWDED)

    def _unusual(self) -> float:
        """From when on a silence frees threads: later where disk or machine are busy, and silences end well."""
        usual = self._usual if monotonic() < self._usual_until else 0.0
        return min(max(CROWDED_AFTER_SECONDS, 2 * usual), PATIENCE_SECONDS)

    def _remember(self, silence: _Silence) -> None:
        now = monotonic()
        if now - silence.since >= self._usual or now >= self._usual_until:
            self._usual, self._usual_until = now - silence.since, now + REMEMBERED_SECONDS

    # ---- the watch -------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._watching.acquire(blocking=False):
            threading.Thread(target=self._ask_on, name=f"watch-{self.alias}", daemon=True).start()

    def _ask_on(self) -> None:
        """Ask until there is an answer, then leave."""
        try:
            while not self._is_there():
                self._lose()
                sleep(ASK_AGAIN_SECONDS)
        except Exception:
            log.exception("watch_failed", database=self.alias)
        finally:
            self._find()
            self._watching.release()

    def _is_there(self) -> bool:
        before = self._signs
        if self.shut is Shut.DOWN:  # by now its name may lead elsewhere; asking for that before could take long
            with suppress(psycopg.Error):
                self.addresses = addresses_of(self.conninfo)
        return any(map(self._ask, self.addresses)) or (self.shut is not Shut.DOWN and self._signs != before)

    def _lose(self) -> None:
        if self.shut is Shut.DOWN:
            return
        with self._changing:
            self.epoch += 1
            self.shut = Shut.DOWN
        DATABASE_DOWN.labels(self.alias).set(1)
        log.warning("database_down", database=self.alias, waiting=len(self._waiting))

    def _find(self) -> None:
        self._sign()
        if self._change(Shut.DOWN, None):
            DATABASE_DOWN.labels(self.alias).set(0)
            log.warning("database_back", database=self.alias)

    def _change(self, before: Shut, after: Shut | None) -> bool:
        with self._changing:
            if self.shut is not before:
                return False
            self.shut = after
        return True
