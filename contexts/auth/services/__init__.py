"""Auth's use cases. Its own `api`, `tasks`, `admin` and `apps` come in, nobody else."""

from contexts.auth.services.customers import account_of, register, rename
from contexts.auth.services.profiles import Auth
from contexts.auth.services.sessions import (
    purge_sessions,
    refresh_tokens,
    revoke_sign_in,
    sign_in_customer,
    sign_in_staff,
)

__all__ = [
    "Auth",
    "account_of",
    "purge_sessions",
    "refresh_tokens",
    "register",
    "rename",
    "revoke_sign_in",
    "sign_in_customer",
    "sign_in_staff",
]
