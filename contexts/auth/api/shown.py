"""What answers say, as JSON and as the API's document shows it. The views come in here."""

from typing import Any, Final

from django.conf import settings
from rest_framework import serializers

from contexts.auth.domain import Account, AddressCard, Tokens
from contexts.auth.services import SignIn
from shop.http.drf import PublicIdField, page_of
from shop.http.rendering import moment
from shop.sharding.public_ids import public_id


class CustomerOut(serializers.Serializer[Any]):
    """A customer as it sees itself."""

    id = PublicIdField("cus")
    email = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()


class TokensOut(serializers.Serializer[Any]):
    """What a sign-in gives; `expires_in` seconds later the access token is over."""

    access = serializers.CharField()
    refresh = serializers.CharField()
    token_type = serializers.ChoiceField(["Bearer"])
    expires_in = serializers.IntegerField()


class AddressOut(serializers.Serializer[Any]):
    """A postal address of a customer."""

    id = PublicIdField("adr")
    name = serializers.CharField()
    line1 = serializers.CharField()
    line2 = serializers.CharField(allow_null=True)
    city = serializers.CharField()
    region = serializers.CharField(allow_null=True)
    postal_code = serializers.CharField()
    country = serializers.CharField()


class ExportOut(serializers.Serializer[Any]):
    """Everything that is stored about the caller: an object per context, in the words of its operations."""

    def get_fields(self) -> dict[str, Any]:
        return {context: serializers.DictField() for context in settings.KNOWN_CONTEXTS}


ADDRESSES: Final = page_of("AddressList", AddressOut)


def customer_json(account: Account) -> dict[str, Any]:
    return {
        "id": public_id("cus", account.customer_id),
        "email": account.email,
        "name": account.name,
        "created_at": moment(account.created_at),
    }


def tokens_json(tokens: Tokens) -> dict[str, Any]:
    return {
        "access": tokens.access,
        "refresh": tokens.refresh,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in,
    }


def address_json(address: AddressCard) -> dict[str, Any]:
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


def sign_in_json(sign_in: SignIn) -> dict[str, Any]:
    return {
        "id": sign_in.session_id,
        "created_at": moment(sign_in.created_at),
        "expires_at": moment(sign_in.expires_at),
        "revoked_at": moment(sign_in.revoked_at) if sign_in.revoked_at else None,
    }
