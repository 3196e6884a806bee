"""Telling an outage from a failure. Delivery and jobs come in here."""

import sqlite3
from typing import Final

from django.db import InterfaceError, OperationalError

from shop.contract import RemoteFault, UnavailableError


class Away(Exception):
    """Something outside the process that is no database does not answer now."""


PRIMARY: Final = 0xFF
"""The part of SQLite's error codes that the others refine."""


def is_away(error: Exception) -> bool:
    """Whether nobody is to blame: a service or a database does not answer now, and will again. See decision 6."""
    if isinstance(error, RemoteFault):  # it answered: with a bug
        return False
    return isinstance(error, Away | UnavailableError | OperationalError | InterfaceError) and not _is_of_the_statement(
        error
    )


def _is_of_the_statement(error: Exception) -> bool:
    """SQLite's driver has one class for a file that is locked and for a column that is not there."""
    code: int = getattr(error.__cause__, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & PRIMARY == sqlite3.SQLITE_ERROR
