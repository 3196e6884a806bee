"""Auth's jobs. Called by the embedded delivery or a relay process."""

from contexts.auth.services import purge_sessions
from shop.events import every


@every(seconds=3600)
def forget_old_sessions() -> int:
    return purge_sessions()
