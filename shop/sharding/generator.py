"""Making IDs without a central counter: a leased worker number and a tick that never repeats.

A process leases a number in the context's home, one for all tables of the context. The lease row stores ``high_ms``:
no tick above it is ever issued, it is raised before use, and a new holder starts above it. So neither a clock that
steps back nor a number that changes hands can repeat an ID, and whether a lease *looks* expired decides nothing but
who may try.
"""

import os
import threading
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import IntegrityError, InterfaceError, OperationalError, connections, transaction
from django.db.models import Max

from shop.sharding.databases import home_of
from shop.sharding.ids import EPOCH_MS, WORKERS, bucket_of, compose, random_bucket
from shop.sharding.models import WorkerLease

WINDOW_MS: Final = 600_000
RAISED_EACH_MS: Final = 60_000
LEASE_SECONDS: Final = 660
"""Longer than the window, so that who takes a number over begins in the past. A server raises its window each minute,
busy or not: so it issues for nine minutes at least while its home is away."""
REST_SECONDS: Final = 1.0


class NoWorkerNumber(RuntimeError):
    """All worker numbers of a context are leased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lease:
    """What this process may issue: ``worker``'s ticks from ``floor`` to ``high``."""

    pid: int
    worker: int
    token: uuid.UUID
    floor: int
    high: int


_NOTHING: Final = _Lease(pid=0, worker=0, token=uuid.UUID(int=0), floor=0, high=-1)


class IdGenerator:
    """IDs of one context in this process. Thread-safe; after a fork the child leases a number of its own.

    Two locks: ``_issuing`` is never held over a database call, so a thread that holds the home's write lock and
    wants an ID can't wait for one that raises the window and wants the home's write lock.
    """

    def __init__(self, context: str) -> None:
        self.context = context
        self._issuing = threading.Lock()
        self._raising = threading.Lock()
        self._lease = _NOTHING
        self._last: dict[int, int] = {}
        self._rests_until = 0.0

    @property
    def worker(self) -> int | None:
        """The number that this process makes IDs with; None as long as it has made none."""
        lease = self._lease
        return lease.worker if lease.pid == os.getpid() else None

    def new(self, bucket: int) -> int:
        """A new ID in ``bucket``.

        A burst borrows ticks from the coming milliseconds. Database: the home, once a minute.
        """
        while True:
            with self._issuing:
                lease = self._lease
                tick = max(now_ms(), self._last.get(bucket, -1) + 1, lease.floor)
                if lease.pid == os.getpid() and tick <= lease.high:
                    self._last[bucket] = tick
                    return compose(bucket=bucket, tick=tick, worker=lease.worker)
            self._refuse_within_home()  # before the lock, whose holder may be waiting for this very transaction
            with self._raising:
                if self._lease is lease:
                    self._raise_to(tick + WINDOW_MS)

    def ensure_window(self) -> None:
        """Raise the window ahead of need: before a transaction, since inside one on the home it can't be raised.

        Waits for another thread that is raising it, or fails with the home, only if nothing is left to issue meanwhile.
        """
        lease = self._lease
        left = lease.high - now_ms() if lease.pid == os.getpid() else 0
        if left > WINDOW_MS - RAISED_EACH_MS or (left > 0 and time.monotonic() < self._rests_until):
            return
        if self._raising.acquire(blocking=left <= 0):
            try:
                if self._lease is lease:
                    self._raise_to(now_ms() + WINDOW_MS)
            except (OperationalError, InterfaceError):
                if left <= 0:
                    raise
                self._rests_until = time.monotonic() + REST_SECONDS
            finally:
                self._raising.release()

    def _refuse_within_home(self) -> None:
        if in_own_transaction(home := home_of(self.context)):
            raise RuntimeError(f"the window of IDs of {self.context!r} is used up and can't be raised inside {home}")

    def _raise_to(self, high: int) -> None:
        home, lease = home_of(self.context), self._lease
        if lease.pid == os.getpid():
            high = max(high, lease.high)  # never down: ticks up to there may have been issued
        if lease.pid != os.getpid() or not _store_high(home, lease, high):
            lease = _acquire(home)
            high = max(high, lease.floor + WINDOW_MS)
            if not _store_high(home, lease, high):
                return  # frozen so long that the new lease is gone again; the caller tries anew
        with self._issuing:
            if lease.token != self._lease.token:
                self._last.clear()
            self._lease = replace(lease, high=high)


def _store_high(home: str, lease: _Lease, high: int) -> bool:
    """Raise the stored ``high_ms``; False if the lease is somebody else's by now."""
    held = WorkerLease.objects.using(home).filter(worker=lease.worker, token=lease.token)
    return bool(held.update(high_ms=high, expires_at=_expiry()))


def in_own_transaction(alias: str) -> bool:
    """Whether this thread has a transaction open on ``alias``; the one a test case wraps around a test is none."""
    connection = connections[alias]
    blocks = connection.atomic_blocks
    return connection.in_atomic_block and not (blocks and blocks[-1]._from_testcase)  # type: ignore[attr-defined]  # Django's own mark, pinned by a test


def _acquire(home: str) -> _Lease:
    """A number nobody holds; its window is still empty."""
    for _ in range(WORKERS):
        token = uuid.uuid4()
        leases = WorkerLease.objects.using(home)
        free = leases.filter(expires_at__lt=datetime.now(UTC)).order_by("high_ms").first()
        if free is not None:
            taken = leases.filter(worker=free.worker, token=free.token, high_ms=free.high_ms)
            if taken.update(token=token, expires_at=_expiry()):
                return _Lease(
                    pid=os.getpid(),
                    worker=free.worker,
                    token=token,
                    floor=free.high_ms + 1,
                    high=free.high_ms,
                )
            continue
        highest = leases.aggregate(highest=Max("worker"))["highest"]
        worker = 0 if highest is None else highest + 1
        if worker >= WORKERS:
            raise NoWorkerNumber(f"all {WORKERS} worker numbers of {home} are leased")
        try:
            with transaction.atomic(using=home):
                leases.create(worker=worker, token=token, high_ms=-1, expires_at=_expiry())
        except IntegrityError:
            continue
        return _Lease(pid=os.getpid(), worker=worker, token=token, floor=0, high=-1)
    raise NoWorkerNumber(f"no worker number of {home} could be leased")


def now_ms() -> int:
    """Milliseconds since the IDs' epoch."""
    return int(time.time() * 1000) - EPOCH_MS


def _expiry() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)


_generators: dict[str, IdGenerator] = {}
os.register_at_fork(after_in_child=_generators.clear)  # a lock some thread held in the parent is never freed here


def generator_of(context: str) -> IdGenerator:
    """The one generator of ``context`` in this process."""
    return _generators.get(context) or _generators.setdefault(context, IdGenerator(context))


def new_id(context: str, *, near: int | None = None, bucket: int | None = None) -> int:
    """A new ID.

    Args:
        context: Whose ID it is.
        near: An ID whose bucket the new one shares, so that both always live on the same shard.
        bucket: The bucket itself. Neither: a random one.
    """
    if near is not None:
        bucket = bucket_of(near)
    return generator_of(context).new(random_bucket() if bucket is None else bucket)
