"""The watch of the map: one thread per process sees within half a second that a home has a newer one, and reads it.

It also says at the home that this process lives and which map it knows: somebody may wait until nobody uses an old
one. A home that does not answer is asked again, and the known map goes on: writes by an old one are refused anyway.
"""

import os
import socket
import sys
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Final

import structlog
from django.conf import settings
from django.db import close_old_connections, connections
from django.db.models.functions import Now

from shop.sharding.asked import RequestsOfMinute
from shop.sharding.binding import note_binding
from shop.sharding.databases import aliases_of, home_of
from shop.sharding.errors import ShardMapMissing
from shop.sharding.generator import generator_of
from shop.sharding.models import ShardEpoch, ShardProcess
from shop.sharding.shard_map import known_maps, load_shard_map, on_load
from shop.sharding.stored_map import NO_EPOCH, refused_map

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.5
SAID_EACH_SECONDS: Final = 5.0
ALIVE_SECONDS: Final = 20.0
"""Who has said nothing for so long is dead, or can't write: its writes come by the fence, or not at all."""
FORGOTTEN_AFTER: Final = timedelta(hours=1)


class MapWatch:
    """What one process looks after, for every context whose map it uses."""

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        self._stopping = threading.Event()
        self._said: dict[str, tuple[int, float]] = {}
        self._resting: set[str] = set()
        self._requests = RequestsOfMinute()

    def start(self) -> None:
        """Begin; the thread ends with the process."""
        threading.Thread(target=self._run, name="map-watch", daemon=True).start()

    def stop(self) -> None:
        """Let the thread end after its round."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            close_old_connections()
            self._requests.look()
            for context in known_maps():
                self._try(context)
        connections.close_all()

    def _try(self, context: str) -> None:
        try:
            self.look(context)
        except Exception as error:
            if context not in self._resting:
                why = error.why if isinstance(error, ShardMapMissing) else ""
                log.warning("map_not_read", context=context, error=type(error).__name__, why=why)
            self._resting.add(context)
        else:
            self._resting.discard(context)

    def look(self, context: str) -> None:
        """Read the map if there is a newer one; say which is known, if that is news or was said long ago.

        Database: the home.
        """
        known = known_maps().get(context)
        row = ShardEpoch.objects.using(home_of(context)).values_list("epoch", "url").first()
        if row is None:
            raise refused_map(context, NO_EPOCH)
        present, url = row
        if note_binding(context, url):
            log.info("context_bound", context=context, elsewhere=bool(url))
        if known is None or known.epoch < present:
            known = load_shard_map(context)
        epoch, said_at = self._said.get(context, (0, -SAID_EACH_SECONDS))
        if epoch != known.epoch or monotonic() >= said_at + SAID_EACH_SECONDS:
            self._say(context, known.epoch)
            self._said[context] = known.epoch, monotonic()

    def _say(self, context: str, epoch: int) -> None:
        processes = ShardProcess.objects.using(home_of(context))
        requests = self._requests.of(aliases_of(context))
        known = {"epoch": epoch, "worker": generator_of(context).worker, "requests": requests, "seen_at": Now()}
        new = {"pid": os.getpid(), "host": socket.gethostname()[:120], "role": _role()}
        _, created = processes.update_or_create(id=self.id, defaults=known, create_defaults={**known, **new})
        if created:
            processes.filter(seen_at__lt=Now() - FORGOTTEN_AFTER).delete()


def behind(context: str, epoch: int) -> list[ShardProcess]:
    """Processes that live and have not seen ``epoch`` yet."""
    alive = ShardProcess.objects.using(home_of(context)).filter(seen_at__gte=Now() - timedelta(seconds=ALIVE_SECONDS))
    return list(alive.filter(epoch__lt=epoch).order_by("started_at"))


def _role() -> str:
    """What this process is, as its command says: ``server``, ``replay_orders``."""
    program = Path(sys.argv[0]).stem
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    return (words[0] if program == "manage" and words else program)[:60]


_watches: dict[int, MapWatch] = {}


def watch_maps() -> None:
    """Have a watch begin in each process that reads a map; with the setting ``MAP_WATCH``."""
    if settings.MAP_WATCH and _ensure_watch not in on_load:
        on_load.append(_ensure_watch)


def _ensure_watch() -> None:
    if os.getpid() in _watches:  # not so in a fork, which has no threads but its own
        return
    watch = MapWatch()
    if _watches.setdefault(os.getpid(), watch) is watch:  # of threads that come at once one begins
        watch.start()
