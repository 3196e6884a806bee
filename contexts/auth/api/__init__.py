"""HTTP of auth, on Django REST framework: bodies in, use cases, answers out. Only `urls` comes in.

The gateway has checked body, token, role and key before a view runs.
"""

from contexts.auth.api.views import (
    AddressesView,
    AddressView,
    ConfirmResetView,
    ExportView,
    MeView,
    PasswordResetView,
    PasswordView,
    RefreshView,
    RegisterView,
    RevokeView,
    StaffTokenView,
    TokenView,
)

__all__ = [
    "AddressView",
    "AddressesView",
    "ConfirmResetView",
    "ExportView",
    "MeView",
    "PasswordResetView",
    "PasswordView",
    "RefreshView",
    "RegisterView",
    "RevokeView",
    "StaffTokenView",
    "TokenView",
]
