"""The server's first process, `python -m shop.gateway.server`: loads the shop, then forks its workers.

So they share the memory of what was loaded, and one that died is back within moments. `manage.py serve` becomes it.
"""

import gc
import multiprocessing
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketSpec  # type: ignore[attr-defined]  # imported there under that name for others
from granian.server.mp import MPServer

from shop.gateway.handover import hand_over
from shop.observability.shared_counts import share_counts

share_counts()

import django  # noqa: E402  nothing may count before that
from django.conf import settings  # noqa: E402
from django.contrib.staticfiles.finders import AppDirectoriesFinder  # noqa: E402
from django.db.migrations.loader import MigrationLoader  # noqa: E402
from django.urls import get_resolver  # noqa: E402

STOP_SECONDS: Final = 10
HEADER_BYTES: Final = 65_536
"""Of a request's head; more is answered 431."""
HEADER_MILLISECONDS: Final = 10_000
"""For a request's head to come; the connection is closed then."""
RESPAWN_SECONDS: Final = 1.0


class Respawned(dict[int, float]):
    """When each worker was last begun anew, for granian, which ends the server where one dies twice within 5.5 s.

    Whoever kills workers, the kernel when memory is short, may well do it twice; the others are at work, and go on.
    Here each comes back, one that dies again at once after a moment's rest.
    """

    def get(self, worker: int, default: Any = None) -> Any:
        """Nothing, after that rest."""
        time.sleep(max(0.0, super().get(worker, 0.0) + RESPAWN_SECONDS - time.monotonic()))
        return default


class Server(MPServer):
    """granian's, whose workers share one listener: it outlives each of them, and can be handed over as a whole."""

    _ssp: Any
    _sso: Any
    _shd: Any
    _sfd: Any

    def _init_shared_socket(self) -> None:
        """As granian does elsewhere: on Linux it has one for each worker, and first one that it drops at once."""
        if sys.platform == "linux":
            self._shd = SocketSpec(self.bind_addr, self.bind_port, self.backlog).build()
            self._ssp, self._sso, self._sfd = None, None, self._shd.get_fd()
        else:
            super()._init_shared_socket()  # type: ignore[no-untyped-call]  # granian's types are its own only in part
        self._listener = socket.socket(fileno=os.dup(self._sfd))

    def shutdown(self, exit_code: int = 0) -> None:
        """Stop, when whoever shares the port has taken over."""
        hand_over(self._listener)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]  # as above


def serve(address: str) -> None:
    """Serve at ``address`` until SIGINT or SIGTERM, which stop the workers and their threads too."""
    if sys.platform == "linux":  # elsewhere the system's libraries may not survive a fork: each worker loads for itself
        multiprocessing.set_start_method("fork")
        _load()
    folders = _static_folders()
    server = Server(
        "config.wsgi:application",
        interface=Interfaces.WSGI,
        address=address,
        port=settings.PORT,
        workers=settings.SERVER_WORKERS,
        blocking_threads=settings.SERVER_THREADS,
        websockets=False,
        log_level=LogLevels.error,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS, max_buffer_size=HEADER_BYTES),
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        static_path_route=[f"{settings.STATIC_URL}{folder.name}" for folder in folders],
        static_path_mount=folders,
    )
    server.respawned_wrks = Respawned()
    server.serve()


def _load() -> None:
    """Load what every worker needs. What is there at a fork is shared for as long as nobody writes to it.

    Raises:
        RuntimeError: Something began a thread, which no worker would have.
    """
    django.setup(set_prefix=False)
    get_resolver().url_patterns  # noqa: B018  loads every view
    MigrationLoader(None)  # `/readyz` asks for them
    if threading.active_count() > 1:
        raise RuntimeError(f"threads run before the fork: {threading.enumerate()}")
    gc.collect()
    gc.freeze()  # a collection marks every object it looks at, and would copy all of it


def _static_folders() -> list[Path]:
    """Files of the admin and of the API's page, a folder per app; the server sends them itself."""
    roots = [Path(storage.location) for storage in AppDirectoriesFinder().storages.values()]
    return sorted(folder for root in roots for folder in root.iterdir() if folder.is_dir())


if __name__ == "__main__":
    serve(sys.argv[1])
