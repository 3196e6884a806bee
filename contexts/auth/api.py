"""HTTP of auth, in DRF: bodies in, use cases, answers out. Only `urls` comes in."""

from typing import Any, Final, cast

from django.http import HttpResponse, JsonResponse
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from contexts.auth import services
from contexts.auth.domain import MAX_LINE, MAX_NAME, MAX_POSTAL_CODE, Account, AddressCard, Tokens
from shop.contract import Principal
from shop.http.countries import COUNTRIES
from shop.http.drf import Body, moment, read
from shop.http.idempotency import answering, resource_id
from shop.http.ids import from_path
from shop.http.paging import cursor, limit_of, position
from shop.sharding.public_ids import public_id

CONTEXT: Final = "auth"
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


class PasswordIn(Body):
    current_password = Secret()
    new_password = Secret()


class AddressIn(Body):
    """What ordering takes as a ``shipping_address``, no more and no less."""

    name = Text(max_length=MAX_LINE)
    line1 = Text(max_length=MAX_LINE)
    line2 = Text(max_length=MAX_LINE, allow_null=True, required=False)
    city = Text(max_length=MAX_LINE)
    region = Text(max_length=MAX_LINE, allow_null=True, required=False)
    postal_code = Text(max_length=MAX_POSTAL_CODE)
    country = Text()

    def validate_country(self, code: str) -> str:
        if code not in COUNTRIES:
            raise serializers.ValidationError("not an ISO 3166-1 alpha-2 code", code="invalid")
        return code


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


class PasswordView(APIView):
    def post(self, request: Request) -> Response:
        services.change_password(customer_id=_caller(request).key, **read(request, PasswordIn))
        return Response(status=status.HTTP_204_NO_CONTENT)


class AddressesView(APIView):
    def get(self, request: Request) -> HttpResponse:
        caller, query = _caller(request), request.query_params
        name = f"addresses:{caller.id}"
        page = services.list_addresses(customer_id=caller.key, limit=limit_of(query), after=position(name, query))
        following = cursor(name, [page.rows[-1].id]) if page.more else None
        shown = {"data": [_address(each) for each in page.rows], "next_cursor": following}
        return JsonResponse(shown, headers=NOT_STORED)

    def post(self, request: Request) -> HttpResponse:
        caller, fields = _caller(request), _said(read(request, AddressIn))
        made = services.add_address(
            address_id=resource_id(request._request, CONTEXT, near=caller.key),
            customer_id=caller.key,
            fields=fields,
            within_effect=answering(request._request, _created),
        )
        return _created(made)


class AddressView(APIView):
    def patch(self, request: Request, address_id: str) -> HttpResponse:
        caller, fields = _caller(request), _said(read(request, AddressIn, partial=True))
        number = from_path("adr", address_id)
        changed = services.change_address(address_id=number, customer_id=caller.key, fields=fields)
        return JsonResponse(_address(changed), headers=NOT_STORED)

    def delete(self, request: Request, address_id: str) -> HttpResponse:
        services.remove_address(address_id=from_path("adr", address_id), customer_id=_caller(request).key)
        return HttpResponse(status=status.HTTP_204_NO_CONTENT)


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


def _said(body: dict[str, Any]) -> dict[str, str]:
    """Fields of an address as they are stored: what is null is empty."""
    return {name: value or "" for name, value in body.items()}


def _created(address: AddressCard) -> HttpResponse:
    return JsonResponse(_address(address), status=status.HTTP_201_CREATED, headers=NOT_STORED)


def _address(address: AddressCard) -> dict[str, Any]:
    return {
        "id": public_id("adr", address.id),
        "name": address.name,
        "line1": address.line1,
        "line2": address.line2 or None,
        "city": address.city,
        "region": address.region or None,
        "postal_code": address.postal_code,
        "country": address.country,
    }
