"""How passwords are stored. Named in the settings."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, override

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

from shop.settings import processors


class OwaspArgon2Hasher(Argon2PasswordHasher):
    """Argon2id at OWASP's minimum, 19 MiB · 2 · 1: a tenth of the time of Django's default.

    In threads of their own, as many as there are processors for this worker: more would end no sooner, and the C
    library keeps the 19 MiB for each thread that ever had them.

    Source: OWASP Password Storage Cheat Sheet.
    """

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1

    @override
    def encode(self, password: str, salt: str) -> str:
        return _threads().submit(super().encode, password, salt).result()

    @override
    def verify(self, password: str, encoded: str) -> bool:
        return _threads().submit(super().verify, password, encoded).result()

    @override
    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        """What the admin says of a password: how it is hashed. Django would show the first letters of salt and hash."""
        return {"algorithm": self.algorithm}


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, processors() // settings.SERVER_WORKERS), thread_name_prefix="hash")


os.register_at_fork(after_in_child=_threads.cache_clear)
