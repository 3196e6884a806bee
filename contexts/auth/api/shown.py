"""What answers say, as JSON and as the API's document shows it. The views come in here."""

from typing import Any, Final

from rest_framework import serializers

from contexts.auth.domain import Account, AddressCard, Tokens
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
