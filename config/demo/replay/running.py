"""A replay from the file to the summary: look it through, receive its stock, buy and take back, drain."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

from config.demo.replay.baskets import Basket, Kind, baskets_of
from config.demo.replay.buying import buy
from config.demo.replay.client import Client, StoppedError
from config.demo.replay.crew import Crew, close_connections
from config.demo.replay.draining import Left, drain
from config.demo.replay.people import People
from config.demo.replay.returning import take_back
from config.demo.replay.stock import articles_of, receive
from config.demo.replay.summary import file_part, peak_rss_mb, work_part
from config.demo.replay.survey import Survey, survey
from config.demo.replay.tally import Tally
from shop.contract import ConflictError
from shop.events.embedded import Embedded
from shop.events.figures import dead_events
from shop.http.idempotency import KeyReusedError

log = structlog.get_logger(__name__)

type Progress = Callable[[str, int, int | None], None]


class RelayPausedError(ConflictError):
    """Nothing that is bought would leave the stock."""

    code = "relay_paused"


def replay_file(
    path: Path, *, limit: int | None, workers: int, run: str, dry_run: bool, progress: Progress
) -> dict[str, Any]:
    """Drive the baskets of a file through the services, as so many buyers' requests.

    Nothing is written before the whole file is found good. Safe to repeat, by ``run``: what a run has done it finds
    and counts again, as long as the shop keeps claims of keys. May run beside a server.

    Args:
        path: A .csv or .csv.gz; see the README beside the demo's data.
        limit: Only so many invoices, from the first one; None: all.
        workers: Threads.
        run: The run's name.
        dry_run: Read and count only.
        progress: Called by any thread with the step's name, how much of it is done, and of how much, if known.

    Returns:
        The summary: see docs/how-to/replay-orders.md.

    Raises:
        UnreadableFileError, DamagedFileError: The file can't be used.
        RelayPausedError: This process is told to relay nothing.
        StoppedError: A basket has met something that no buyer should meet.
    """
    found = survey(path, limit=limit, progress=lambda seen: progress("reading", seen, None))
    articles = articles_of(found.pieces)
    file = file_part(found, articles)
    if dry_run:
        return {"dry_run": True, "file": file}
    if settings.RELAY_PAUSED:
        raise RelayPausedError(detail="RELAY_PAUSED is set: what is bought would never leave the stock")
    work = _Replay(run, workers, articles, progress)
    return {"run": run, "file": file, **work.do(islice(baskets_of(path), limit), found)}


class _Replay:
    """One run: who asks, who comes, what is known, how long each part took."""

    def __init__(self, run: str, workers: int, articles: Mapping[str, int], progress: Progress) -> None:
        self._tally = Tally()
        self._client = Client(run, self._tally)
        self._people = People(self._client)
        self._articles = articles
        self._workers = workers
        self._progress = progress
        self._seconds: dict[str, float] = {}

    def do(self, baskets: Iterator[Basket], found: Survey) -> dict[str, Any]:
        """All of it; returns the work's part of the summary."""
        dead_before = dead_events()
        with self._timed("stock"), self._crew() as crew:
            pieces = {self._articles[sku]: n for sku, n in found.pieces.items() if sku in self._articles}
            receive(self._client, crew, pieces, lambda done: self._progress("receiving stock", done, len(pieces)))
        with self._timed("baskets"), _delivery(), self._crew() as crew:
            for basket in baskets:
                crew.give(basket.lane, partial(self._handle, basket, found.baskets))
        with self._timed("drain"):
            left = drain(partial(self._progress, "draining"))
        return {**work_part(self._tally), **self._end(found, left, dead_events() - dead_before)}

    def _end(self, found: Survey, left: Left, dead: int) -> dict[str, Any]:
        total = sum(self._seconds.values())
        rates = {"while_buying": self._seconds["baskets"], "in_all": total}
        return {
            "left": {"events": left.events, "for_providers": left.for_providers, "dead_events": dead},
            "seconds": {name: round(seconds, 1) for name, seconds in self._seconds.items()},
            "baskets_per_second": {name: round(found.baskets / seconds, 1) for name, seconds in rates.items()},
            "workers": self._workers,
            "peak_rss_mb": peak_rss_mb(),
        }

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - began

    @contextmanager
    def _crew(self) -> Iterator[Crew]:
        crew = Crew(self._workers)
        try:
            yield crew
            crew.finish()
        except BaseException:
            crew.stop()
            self._client.stop()
            with suppress(Exception):
                crew.finish()
            raise

    def _handle(self, basket: Basket, total: int) -> None:
        try:
            self._one(basket)
        except StoppedError as error:
            raise StoppedError(detail=f"invoice {basket.invoice}: {error.detail}") from error
        except KeyReusedError:
            what = f"invoice {basket.invoice}: the run {self._client.run} had another invoice of this number"
            raise StoppedError(detail=f"{what}; give this file a run of its own") from None
        except Exception as error:
            log.exception("replay_stopped", invoice=basket.invoice)
            raise StoppedError(detail=f"invoice {basket.invoice}: {type(error).__name__}, see the log") from error
        self._tally.add("progress", "baskets")
        self._progress("baskets", self._tally.part("progress")["baskets"], total)

    def _one(self, basket: Basket) -> None:
        lines = {self._articles[sku]: pieces for sku, pieces in basket.pieces.items() if sku in self._articles}
        if basket.kind is Kind.CANCELLATION:
            customer_id = self._people.known(basket) if basket.customer else None
            take_back(self._client, basket, customer_id, lines)
            return
        self._tally.add("orders", "unknown_lines", len(basket.pieces) - len(lines))
        if lines:
            buy(self._client, basket, self._people.buyer_of(basket), lines)
        else:
            self._tally.add("orders", "skipped")


@contextmanager
def _delivery() -> Iterator[None]:
    """Events are delivered and jobs run in this process too, unless another one is on duty."""
    delivery = Embedded(close=close_connections)
    delivery.start()
    try:
        yield
    finally:
        delivery.stop()
