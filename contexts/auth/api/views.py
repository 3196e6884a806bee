"""HTTP of auth, in DRF: bodies in, use cases, answers out. Only `urls` comes in."""

from typing import Any, Final, cast

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from contexts.auth import services
from contexts.auth.api.bodies import (
    AddressChange,
    AddressIn,
    ConfirmResetIn,
    CredentialsIn,
    EraseIn,
    MeIn,
    PasswordIn,
    RefreshIn,
    RegisterIn,
    ResetIn,
)
from contexts.auth.api.shown import (
    ADDRESSES,
    AddressOut,
    CustomerOut,
    ExportOut,
    TokensOut,
    address_json,
    customer_json,
    tokens_json,
)
from contexts.auth.domain import Account, AddressCard, Tokens
from shop.contract import Principal
from shop.http.drf import read
from shop.http.idempotency import answering, resource_id
from shop.http.ids import from_path
from shop.http.paging import cursor, limit_of, position
from shop.http.rendering import answer
from shop.privacy import export_customer

CONTEXT: Final = "auth"
NOT_STORED: Final = {"Cache-Control": "no-store"}


class RegisterView(APIView):
    @extend_schema(operation_id="register", request=RegisterIn, responses={201: CustomerOut})
    def post(self, request: Request) -> Response:
        """Open an account. It signs nobody in."""
        return _customer(services.register(**read(request, RegisterIn)), status.HTTP_201_CREATED)


class TokenView(APIView):
    @extend_schema(operation_id="sign_in", request=CredentialsIn, responses={200: TokensOut})
    def post(self, request: Request) -> Response:
        """Sign a customer in."""
        return _tokens(services.sign_in_customer(**read(request, CredentialsIn)))


class StaffTokenView(APIView):
    @extend_schema(operation_id="sign_in_staff", request=CredentialsIn, responses={200: TokensOut})
    def post(self, request: Request) -> Response:
        """Sign staff in."""
        return _tokens(services.sign_in_staff(**read(request, CredentialsIn)))


class RefreshView(APIView):
    @extend_schema(operation_id="refresh_tokens", request=RefreshIn, responses={200: TokensOut})
    def post(self, request: Request) -> Response:
        """Get new tokens for a refresh token, which is used up by it."""
        return _tokens(services.refresh_tokens(**read(request, RefreshIn)))


class RevokeView(APIView):
    @extend_schema(operation_id="revoke_tokens", request=RefreshIn, responses={204: None})
    def post(self, request: Request) -> Response:
        """Sign out. A refresh token that is not known is none that could be used."""
        services.revoke_sign_in(**read(request, RefreshIn))
        return Response(status=status.HTTP_204_NO_CONTENT)


class PasswordResetView(APIView):
    @extend_schema(operation_id="request_password_reset", request=ResetIn, responses={202: None})
    def post(self, request: Request) -> Response:
        """Have a token for a new password sent by e-mail. The answer does not tell whether there is such an account."""
        services.request_reset(**read(request, ResetIn))
        return Response(status=status.HTTP_202_ACCEPTED)


class ConfirmResetView(APIView):
    @extend_schema(operation_id="confirm_password_reset", request=ConfirmResetIn, responses={204: None})
    def post(self, request: Request) -> Response:
        """Set a new password with the token, once. It ends every sign-in."""
        services.confirm_reset(**read(request, ConfirmResetIn))
        return Response(status=status.HTTP_204_NO_CONTENT)


class MeView(APIView):
    @extend_schema(operation_id="show_me", request=None, responses={200: CustomerOut})
    def get(self, request: Request) -> Response:
        """The caller's account."""
        return _customer(services.account_of(_caller(request).key))

    @extend_schema(operation_id="change_me", request=MeIn, responses={200: CustomerOut})
    def patch(self, request: Request) -> Response:
        """Change the caller's name."""
        caller, body = _caller(request), read(request, MeIn)
        if "name" not in body:
            return _customer(services.account_of(caller.key))
        return _customer(services.rename(customer_id=caller.key, name=body["name"]))

    @extend_schema(operation_id="erase_me", request=EraseIn, responses={204: None})
    def delete(self, request: Request) -> HttpResponse:
        """Erase the caller's account and all that says who the caller was. It can't be undone."""
        services.erase_account(customer_id=_caller(request).key, **read(request, EraseIn))
        return HttpResponse(status=status.HTTP_204_NO_CONTENT)


class ExportView(APIView):
    @extend_schema(operation_id="export_me", request=None, responses={200: ExportOut})
    def get(self, request: Request) -> HttpResponse:
        """Everything that is stored about the caller, by every context."""
        return answer(export_customer(_caller(request).key), headers=NOT_STORED)


class PasswordView(APIView):
    @extend_schema(operation_id="change_password", request=PasswordIn, responses={204: None})
    def post(self, request: Request) -> Response:
        """Change the password. It ends every sign-in, this one too."""
        services.change_password(customer_id=_caller(request).key, **read(request, PasswordIn))
        return Response(status=status.HTTP_204_NO_CONTENT)


class AddressesView(APIView):
    @extend_schema(operation_id="list_addresses", request=None, responses={200: ADDRESSES})
    def get(self, request: Request) -> HttpResponse:
        """The caller's addresses, newest first."""
        caller, query = _caller(request), request.query_params
        name = f"addresses:{caller.id}"
        page = services.list_addresses(customer_id=caller.key, limit=limit_of(query), after=position(name, query))
        following = cursor(name, [page.rows[-1].id]) if page.more else None
        shown = {"data": [address_json(each) for each in page.rows], "next_cursor": following}
        return answer(shown, headers=NOT_STORED)

    @extend_schema(operation_id="add_address", request=AddressIn, responses={201: AddressOut})
    def post(self, request: Request) -> HttpResponse:
        """Enter an address."""
        caller, fields = _caller(request), _said(read(request, AddressIn))
        made = services.add_address(
            address_id=resource_id(request._request, CONTEXT, near=caller.key),
            customer_id=caller.key,
            fields=fields,
            within_effect=answering(request._request, _created),
        )
        return _created(made)


class AddressView(APIView):
    @extend_schema(operation_id="change_address", request=AddressChange, responses={200: AddressOut})
    def patch(self, request: Request, address_id: str) -> HttpResponse:
        """Change what an address says."""
        caller, fields = _caller(request), _said(read(request, AddressChange))
        number = from_path("adr", address_id)
        changed = services.change_address(address_id=number, customer_id=caller.key, fields=fields)
        return answer(address_json(changed), headers=NOT_STORED)

    @extend_schema(operation_id="remove_address", request=None, responses={204: None})
    def delete(self, request: Request, address_id: str) -> HttpResponse:
        """Take an address out of the book."""
        services.remove_address(address_id=from_path("adr", address_id), customer_id=_caller(request).key)
        return HttpResponse(status=status.HTTP_204_NO_CONTENT)


def _caller(request: Request) -> Principal:
    return cast(Principal, request.principal)  # type: ignore[attr-defined]  # set by the gateway


def _customer(account: Account, code: int = status.HTTP_200_OK) -> Response:
    return Response(customer_json(account), status=code, headers=NOT_STORED)


def _tokens(tokens: Tokens) -> Response:
    return Response(tokens_json(tokens), headers=NOT_STORED)


def _said(body: dict[str, Any]) -> dict[str, str]:
    """Fields of an address as they are stored: what is null is empty."""
    return {name: value or "" for name, value in body.items()}


def _created(address: AddressCard) -> HttpResponse:
    return answer(address_json(address), status=status.HTTP_201_CREATED, headers=NOT_STORED)
