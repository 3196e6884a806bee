"""Auth's use cases. Its own `api`, `tasks`, `admin` and `apps` come in, nobody else."""

from contexts.auth.services.addresses import add_address, change_address, list_addresses, remove_address
from contexts.auth.services.customers import account_of, register, rename
from contexts.auth.services.erasing import erase_account, erase_what_is_left
from contexts.auth.services.exporting import SignIn, stored_about
from contexts.auth.services.passwords import change_password
from contexts.auth.services.profiles import Auth
from contexts.auth.services.resets import confirm_reset, purge_resets, request_reset, write_to_customer
from contexts.auth.services.sessions import (
    end_staff_sign_ins,
    purge_sessions,
    refresh_tokens,
    revoke_sign_in,
    sign_in_customer,
    sign_in_staff,
)

__all__ = [
    "Auth",
    "SignIn",
    "account_of",
    "add_address",
    "change_address",
    "change_password",
    "confirm_reset",
    "end_staff_sign_ins",
    "erase_account",
    "erase_what_is_left",
    "list_addresses",
    "purge_resets",
    "purge_sessions",
    "refresh_tokens",
    "register",
    "remove_address",
    "rename",
    "request_reset",
    "revoke_sign_in",
    "sign_in_customer",
    "sign_in_staff",
    "stored_about",
    "write_to_customer",
]
