"""How often somebody may do something: one port for the edge, for signing in, and for the admin.

A policy is a quota in a moving window. Counts are in this process, or in Redis where ``REDIS_URL`` is set, and exact
there over all processes. Without an answer from Redis each process counts for itself, and reading is free.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac
from limits import RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from shop.contract import ContextError
from shop.http.edge import edge_of
from shop.observability.metrics import LIMITS_REFUSED

log = structlog.get_logger(__name__)

REDIS_SECONDS: Final = 0.05
REDIS_AWAY_SECONDS: Final = 2.0
FREE_WITHOUT_REDIS: Final = frozenset({"read"})
LOGIN: Final = "login"


@dataclass(eq=False, kw_only=True)
class RateLimitedError(ContextError):
    """Too often; after ``retry_after`` seconds there is room again."""

    code = "rate_limited"
    standing: "Standing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a caller stands with a policy.

    Attributes:
        remaining: How often more, now.
        reset_seconds: When the oldest of those counted is forgotten.
    """

    policy: str
    quota: int
    window_seconds: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """Headers of draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.quota};w={self.window_seconds}',
            "RateLimit": f'"{self.policy}";r={self.remaining};t={self.reset_seconds}',
        }


@dataclass(slots=True, kw_only=True)
class Limits:
    """Counts by policy and key. Keys are hashed: an address or an e-mail is nobody's business.

    Attributes:
        policies: Quota and window in seconds by name; what is not there is not limited.
    """

    policies: dict[str, tuple[int, int]]
    redis_url: str = ""
    _own: MovingWindowRateLimiter = field(init=False)
    _shared: MovingWindowRateLimiter | None = field(init=False, default=None)
    _away_until: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._own = MovingWindowRateLimiter(MemoryStorage())
        if self.redis_url:
            from redis.backoff import NoBackoff  # noqa: PLC0415  megabytes that a shop without a Redis need not load
            from redis.retry import Retry  # noqa: PLC0415  the same

            options: dict[str, Any] = {
                "socket_timeout": REDIS_SECONDS,
                "socket_connect_timeout": REDIS_SECONDS,
                "retry": Retry(NoBackoff(), 0),
            }
            storage = RedisStorage(self.redis_url, wrap_exceptions=True, key_prefix="shop", **options)
            self._shared = MovingWindowRateLimiter(storage)

    def count(self, policy: str, *who: str) -> Standing | None:
        """Count one; None where the policy is off.

        Raises:
            RateLimitedError: The quota is used up; nothing was counted.
        """
        return self._ask(policy, who, lambda limiter, item, key: limiter.hit(item, key))

    def check(self, policy: str, *who: str) -> None:
        """Look only.

        Raises:
            RateLimitedError: The quota is used up.
        """
        self._ask(policy, who, lambda limiter, item, key: limiter.test(item, key))

    def _ask(
        self,
        policy: str,
        who: tuple[str, ...],
        question: Callable[[MovingWindowRateLimiter, RateLimitItemPerSecond, str], bool],
    ) -> Standing | None:
        known = self.policies.get(policy)
        if known is None:
            return None
        item = RateLimitItemPerSecond(known[0], known[1], namespace=policy)
        key = salted_hmac("shop.limits", "\0".join(who), algorithm="sha256").hexdigest()[:24]
        answer = self._answer(policy, lambda limiter: (question(limiter, item, key), _standing(limiter, item, key)))
        if answer is None:
            return None
        admitted, standing = answer
        if not admitted:
            LIMITS_REFUSED.labels(policy).inc()
            raise RateLimitedError(detail=f"try again in {standing.reset_seconds} s", standing=standing)
        return standing

    def _answer[R](self, policy: str, ask: Callable[[MovingWindowRateLimiter], R]) -> R | None:
        if self._shared is None:
            return ask(self._own)
        if time.monotonic() >= self._away_until:
            try:
                return ask(self._shared)
            except StorageError as error:
                self._away_until = time.monotonic() + REDIS_AWAY_SECONDS
                log.warning("limits_not_shared", error=type(error.storage_error).__name__)
        return None if policy in FREE_WITHOUT_REDIS else ask(self._own)


def _standing(limiter: MovingWindowRateLimiter, item: RateLimitItemPerSecond, key: str) -> Standing:
    stats = limiter.get_window_stats(item, key)
    return Standing(
        policy=str(item.namespace),
        quota=item.amount,
        window_seconds=item.get_expiry(),
        remaining=stats.remaining,
        reset_seconds=max(1, round(stats.reset_time - time.time() + 0.5)),
    )


@cache
def limits() -> Limits:
    """The limits of this process."""
    return Limits(policies=settings.RATE_LIMITS, redis_url=settings.REDIS_URL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInAttempts:
    """Failed sign-ins of one account, whether there is such an account or not."""

    kind: str
    account: str

    def admit(self) -> None:
        """Let somebody try.

        Raises:
            RateLimitedError: Too many have failed.
        """
        limits().check(LOGIN, self.kind, self.account.casefold())

    def failed(self) -> None:
        """Count a failure. Of many at once no more than the quota are told that they failed.

        Raises:
            RateLimitedError: It was one too many.
        """
        limits().count(LOGIN, self.kind, self.account.casefold())


def network_of(request: HttpRequest) -> str:
    """Where a request comes from: the address, of IPv6 the /64 that one customer of a provider has."""
    edge = edge_of(request)
    given = edge.address if edge else request.META.get("REMOTE_ADDR", "")
    try:
        address = ip_address(given)
    except ValueError:
        return str(given)
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)


def show_standing(answer: HttpResponseBase, standing: Standing) -> None:
    """Tell a caller where it stands."""
    for name, value in standing.headers().items():
        answer.setdefault(name, value)
