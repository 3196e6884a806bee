"""The Celery application: `celery -A config worker` runs it, and the relay sends by it. One task, which takes batches.

Why it is set up so:

- **Acks late, also for a lost worker**: a batch is acknowledged when every event's fate is in an inbox. What a worker
  held that was killed, by the kernel's OOM killer or `kill -9`, goes to the next one; the inbox knows what was done.
- **Prefetch of one**: a batch is up to a hundred events. More of them waiting in one process would be work that no
  other can take, and that is repeated when it dies.
- **Confirms**: of each batch sending tells that the broker has it, RabbitMQ on disk, or raises; then rows are done.
- **Visibility time-out**, on Redis: three seconds without a sign of the worker (`shop.events.broker.streams`); RabbitMQ
  sees a connection end.
- **No results, no events, no remote control**: nobody reads them, and each is traffic or a way in.
- **JSON only**: a pickle that somebody puts into the queue would be code.
"""

from typing import Any, Final

from celery import Celery
from django.conf import settings

from shop.events.broker.receiving import TASK, take
from shop.events.broker.topology import exchange, queues
from shop.sharding.databases import leave_databases

STREAMS: Final = "shop.events.broker.streams:Transport"
CONNECT_SECONDS: Final = 3.0
HEARTBEAT_SECONDS: Final = 5
"""Of RabbitMQ and a worker: who hears nothing for twice as long gives the connection up."""
AMQP_WAITS: Final = {"read_timeout": CONNECT_SECONDS, "write_timeout": CONNECT_SECONDS}
"""Without them a worker waits for minutes for the goodbye of a connection that leads nowhere any more."""
STOP_SECONDS: Final = 20.0


def make_app() -> Celery:
    """The application for ``BROKER_URL``."""
    app = Celery("shop", set_as_current=False)
    app.conf.update(
        broker_url=settings.BROKER_URL or "memory://",
        broker_transport=transport_of(settings.BROKER_URL),
        broker_connection_timeout=CONNECT_SECONDS,
        broker_heartbeat=HEARTBEAT_SECONDS,
        broker_transport_options={} if transport_of(settings.BROKER_URL) else AMQP_WAITS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        task_queues=queues(),
        task_default_exchange=exchange().name,
        task_default_exchange_type="topic",
        task_create_missing_queues=False,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=False,
        task_reject_on_worker_lost=True,
        worker_consumer="shop.events.broker.consumer:Consumer",
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_soft_shutdown_timeout=STOP_SECONDS,
    )
    app.task(_take, name=TASK)
    return app


def transport_of(url: str) -> str | None:
    """What speaks to the broker at ``url``; None: what kombu takes for it."""
    return STREAMS if url.startswith("redis") else None


def _take(message: Any) -> None:
    try:
        take(message)
    finally:
        leave_databases()
