"""Secrets from the environment, else made once and kept in ``$SHOP_HOME/secrets.json`` (0600)."""

import json
import secrets
from pathlib import Path
from typing import Final

from shop.settings import Env, write_once

NAMES: Final = ("SECRET_KEY", "PUBLIC_ID_KEY", "FAKE_WEBHOOK_SECRET")


def load_secrets(env: Env, home: Path) -> dict[str, str]:
    """Every secret of `NAMES`; faults of the file are reported through ``env``."""
    given = {name: env.text(name) for name in NAMES if env.text(name)}
    if len(given) == len(NAMES):
        return given
    try:
        return {**_kept(home / "secrets.json"), **given}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not the JSON object it should be"
        env.problems.append(f"SHOP_HOME: secrets.json in {home} can't be used: {reason}")
        return dict.fromkeys(NAMES, "")


def _kept(path: Path) -> dict[str, str]:
    """What the file holds; made whole if it is not there, and whoever comes second keeps the first one's."""
    if not path.exists():
        write_once(path, json.dumps({name: secrets.token_urlsafe(48) for name in NAMES}, indent=1))
    held = json.loads(path.read_text())
    if not isinstance(held, dict) or not all(isinstance(held.get(name), str) and held[name] for name in NAMES):
        raise ValueError
    return {name: held[name] for name in NAMES}
