"""Events: publish → outbox → relay → inbox-guarded handler; jobs run beside them. Contexts come in here."""

from shop.events.handlers import on
from shop.events.jobs import every, one_by_one
from shop.events.publishing import publish, to_publish
from shop.events.wake import wake_jobs

__all__ = ["every", "on", "one_by_one", "publish", "to_publish", "wake_jobs"]
