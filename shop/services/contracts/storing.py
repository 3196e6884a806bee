"""Snapshots in files: JSON that a reviewer reads as a difference."""

import json
from pathlib import Path
from typing import Any

from shop.services.contracts.describing import Snapshot


class BadSnapshot(Exception):
    """A snapshot that is not there or can't be read; the text says which, and what to do."""


def text_of(snapshot: Snapshot) -> str:
    """The file's content."""
    return json.dumps(snapshot, indent=1, ensure_ascii=False) + "\n"


def stored(path: Path) -> Snapshot:
    """What a file holds.

    Raises:
        BadSnapshot: It is missing, or no snapshot.
    """
    try:
        found: Any = json.loads(path.read_text())
    except FileNotFoundError:
        raise BadSnapshot(f"{path} is missing: `manage.py contracts write` makes it") from None
    except (OSError, ValueError) as error:
        raise BadSnapshot(f"{path} can't be read: {error}; take it from version control") from None
    if not isinstance(found, dict) or not {"services", "events", "errors", "types"} <= found.keys():
        raise BadSnapshot(f"{path} is no snapshot of a contract; take it from version control")
    return found
