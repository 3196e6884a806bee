"""Whether a PostgreSQL is there: asked on a fresh connection, within a time that no setting of its own can stretch."""

import time
from typing import Final

import psycopg
from psycopg import generators, waiting
from psycopg._conninfo_attempts import conninfo_attempts
from psycopg.conninfo import conninfo_to_dict, make_conninfo

ASKED_SECONDS: Final = 0.4
_STEP_SECONDS: Final = 0.05
_SERVERS_OWN_WORD: Final = ":  "
"""With two blanks libpq sets off the server's "FATAL", in whatever language that is; its own words have one."""


def addresses_of(conninfo: str) -> list[str]:
    """Each address that the names in ``conninfo`` have now, as the driver tries them one after the other.

    Raises:
        psycopg.OperationalError: They have none.
    """
    return [make_conninfo("", **attempt) for attempt in conninfo_attempts(conninfo_to_dict(conninfo))]


def answers(address: str) -> bool:
    """Whether a server answers `SELECT 1`, or refuses with words of its own: too many clients are no outage."""
    until = time.monotonic() + ASKED_SECONDS
    try:
        server = waiting.wait_conn(generators.connect(address), _STEP_SECONDS, ASKED_SECONDS)
        try:
            server.send_query(b"SELECT 1")
            left = max(0.0, until - time.monotonic())
            waiting.wait(generators.execute(server), server.socket, _STEP_SECONDS, left)
        finally:
            server.finish()
    except psycopg.Error as error:
        return _SERVERS_OWN_WORD in str(error)
    return True
