"""HTTP of auth, in DRF: bodies in, use cases, answers out. Only `urls` comes in."""

from typing import Any, Final, cast

from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from contexts.auth import services
from contexts.auth.domain import MAX_NAME, Account, Tokens
from shop.contract import Principal
from shop.http.drf import Body, moment, read
from shop.sharding.public_ids import public_id

NOT_STORED: Final = {"Cache-Control": "no-store"}


class Text(serializers.CharField):
    """A text; a number or a truth value is none."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Secret(Text):
    """A text that is taken as it comes, blanks included; what is wrong with it the use case says."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, allow_blank=True, **options)


class RegisterIn(Body):
    email = Text(allow_blank=True)
    password = Secret()
    name = Text(allow_blank=True, required=False, default="", max_length=MAX_NAME)


class CredentialsIn(Body):
    email = Text(allow_blank=True)
    password = Secret()


class RefreshIn(Body):
    refresh = Secret()


class MeIn(Body):
    name = Text(allow_blank=True, required=False, max_length=MAX_NAME)


class RegisterView(APIView):
    def post(self, request: Request) -> Response:
        return _customer(services.register(**read(request, RegisterIn)), status.HTTP_201_CREATED)


class TokenView(APIView):
    def post(self, request: Request) -> Response:
        return _tokens(services.sign_in_customer(**read(request, CredentialsIn)))


class StaffTokenView(APIView):
    def post(self, request: Request) -> Response:
        return _tokens(services.sign_in_staff(**read(request, CredentialsIn)))


class RefreshView(APIView):
    def post(self, request: Request) -> Response:
        return _tokens(services.refresh_tokens(**read(request, RefreshIn)))


class RevokeView(APIView):
    def post(self, request: Request) -> Response:
        services.revoke_sign_in(**read(request, RefreshIn))
        return Response(status=status.HTTP_204_NO_CONTENT)


class MeView(APIView):
    def get(self, request: Request) -> Response:
        return _customer(services.account_of(_caller(request).key))

    def patch(self, request: Request) -> Response:
        caller, body = _caller(request), read(request, MeIn)
        if "name" not in body:
            return _customer(services.account_of(caller.key))
        return _customer(services.rename(customer_id=caller.key, name=body["name"]))


def _caller(request: Request) -> Principal:
    return cast(Principal, request.principal)  # type: ignore[attr-defined]  # set by the gateway


def _customer(account: Account, code: int = status.HTTP_200_OK) -> Response:
    shown = {
        "id": public_id("cus", account.customer_id),
        "email": account.email,
        "name": account.name,
        "created_at": moment(account.created_at),
    }
    return Response(shown, status=code, headers=NOT_STORED)


def _tokens(tokens: Tokens) -> Response:
    shown = {
        "access": tokens.access,
        "refresh": tokens.refresh,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in,
    }
    return Response(shown, headers=NOT_STORED)
