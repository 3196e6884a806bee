"""Addresses of auth, under `/api/v1/auth/`. The keys of tokens are at the root: `shop.gateway.jwks`."""

from django.urls import URLPattern, path

from contexts.auth import api
from contexts.auth.domain import (
    EmailTakenError,
    InvalidEmailError,
    PasswordTooWeakError,
    ResetTokenInvalidError,
    TokenReusedError,
    TooManyAddressesError,
)
from shop.contract import CALL_ERRORS
from shop.gateway.routes import Key, Route, Who
from shop.gateway.tokens import TokenInvalidError
from shop.http.paging import PAGE
from shop.sharding.unique import CreationVoided
from shop.staff.accounts import InvalidCredentialsError

IDS = {"address_id": "adr"}
ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="register",
        who=Who.ANYONE,
        has_body=True,
        limit="auth",
        errors=(EmailTakenError, CreationVoided, InvalidEmailError, PasswordTooWeakError),
    ),
    Route(
        method="POST",
        path="token",
        who=Who.ANYONE,
        has_body=True,
        limit="auth",
        errors=(InvalidCredentialsError,),
    ),
    Route(
        method="POST",
        path="staff/token",
        who=Who.ANYONE,
        has_body=True,
        limit="auth",
        errors=(InvalidCredentialsError,),
    ),
    Route(
        method="POST",
        path="token/refresh",
        who=Who.ANYONE,
        has_body=True,
        errors=(TokenInvalidError, TokenReusedError),
    ),
    Route(method="POST", path="token/revoke", who=Who.ANYONE, has_body=True),
    Route(method="POST", path="password-reset", who=Who.ANYONE, has_body=True, limit="auth"),
    Route(
        method="POST",
        path="password-reset/confirm",
        who=Who.ANYONE,
        has_body=True,
        limit="auth",
        errors=(ResetTokenInvalidError, PasswordTooWeakError),
    ),
    Route(method="GET", path="me", who=Who.CUSTOMER),
    Route(method="PATCH", path="me", who=Who.CUSTOMER, has_body=True),
    Route(method="DELETE", path="me", who=Who.CUSTOMER, has_body=True, errors=(InvalidCredentialsError,)),
    Route(method="GET", path="me/export", who=Who.CUSTOMER, errors=CALL_ERRORS),
    Route(
        method="POST",
        path="me/password",
        who=Who.CUSTOMER,
        has_body=True,
        errors=(InvalidCredentialsError, PasswordTooWeakError),
    ),
    Route(method="GET", path="me/addresses", who=Who.CUSTOMER, query=PAGE),
    Route(
        method="POST",
        path="me/addresses",
        who=Who.CUSTOMER,
        key=Key.ACCEPTED,
        has_body=True,
        errors=(TooManyAddressesError,),
    ),
    Route(method="PATCH", path="me/addresses/<address_id>", who=Who.CUSTOMER, has_body=True),
    Route(method="DELETE", path="me/addresses/<address_id>", who=Who.CUSTOMER),
)
urlpatterns: list[URLPattern] = [
    path("register", api.RegisterView.as_view()),
    path("token", api.TokenView.as_view()),
    path("staff/token", api.StaffTokenView.as_view()),
    path("token/refresh", api.RefreshView.as_view()),
    path("token/revoke", api.RevokeView.as_view()),
    path("password-reset", api.PasswordResetView.as_view()),
    path("password-reset/confirm", api.ConfirmResetView.as_view()),
    path("me", api.MeView.as_view()),
    path("me/export", api.ExportView.as_view()),
    path("me/password", api.PasswordView.as_view()),
    path("me/addresses", api.AddressesView.as_view()),
    path("me/addresses/<address_id>", api.AddressView.as_view()),
]
