"""Django REST framework as our APIs speak it: bodies that refuse unknown fields, money, public IDs."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast, override

from django.http import HttpResponse
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.settings import api_settings

from shop.contract import Fault, Money
from shop.http.countries import COUNTRIES
from shop.http.currencies import CURRENCIES
from shop.http.problems import invalid, problem, problem_of
from shop.http.texts import REFUSAL, is_clean
from shop.sharding.public_ids import InvalidPublicId, number_of

MAX_PRICE: Final = 10**12


class JsonOnly(BaseContentNegotiation):
    """Our answers are JSON, as ordering's are, whatever `Accept` or `?format=` ask for."""

    @override
    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))  # the gateway has refused other media types

    @override
    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        only = next(iter(renderers))
        return only, only.media_type


class Body(serializers.Serializer[Any]):
    """A request body: what it does not declare is refused as ``unknown_field``."""

    def to_internal_value(self, data: Any) -> Any:
        """Validated values by field name."""
        if not isinstance(data, Mapping):
            fault = serializers.ErrorDetail("must be an object", "not_an_object")
            raise serializers.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [fault]})
        if unknown := sorted(set(data) - set(self.fields)):
            raise serializers.ValidationError(
                {str(name): [serializers.ErrorDetail("there is no such field", "unknown_field")] for name in unknown}
            )
        return super().to_internal_value(data)


def read[B: Body](request: Request, shape: type[B]) -> dict[str, Any]:
    """The request's body as ``shape`` says.

    Raises:
        ValidationError: Every fault with its field; told as 422.
    """
    body = shape(data=request.data)
    body.is_valid(raise_exception=True)
    return cast(dict[str, Any], body.validated_data)


class Text(serializers.CharField):
    """A text without control characters; a number or a truth value is none.

    Args:
        lines: It may have line breaks and tabs.
        options: As of a `CharField`.
    """

    def __init__(self, *, lines: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.lines = lines

    def to_internal_value(self, data: Any) -> str:
        """The text, without blanks around it."""
        if not isinstance(data, str):
            self.fail("invalid")
        text = super().to_internal_value(data)
        if not is_clean(text, lines=self.lines):
            raise serializers.ValidationError(REFUSAL, code="invalid")
        return text


class Secret(serializers.CharField):
    """A text that is taken as it comes, blanks included; what is wrong with it the use case says."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, allow_blank=True, **options)

    def to_internal_value(self, data: Any) -> str:
        """The text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A whole number; a text, a fraction or a truth value is none, even where it could be read as one."""

    def to_internal_value(self, data: Any) -> int:
        """The number."""
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class CurrencyField(serializers.Field[str, str, str, Any]):
    """An ISO 4217 code."""

    def to_internal_value(self, data: Any) -> str:
        """The code."""
        if not isinstance(data, str) or data not in CURRENCIES:
            raise serializers.ValidationError("not an ISO 4217 code", code="invalid")
        return data


class MoneyBody(Body):
    """``{"amount": 1299, "currency": "EUR"}``, validated to `Money`."""

    amount = Whole(min_value=1, max_value=MAX_PRICE)
    currency = CurrencyField()

    def to_internal_value(self, data: Any) -> Money:
        """The amount as a value."""
        return Money(**super().to_internal_value(data))


class PublicIdField(serializers.Field[int, str, str, Any]):
    """A public ID in a body, validated to its number; ``invalid_id`` otherwise."""

    def __init__(self, prefix: str, **options: Any) -> None:
        super().__init__(**options)
        self.prefix = prefix

    def to_internal_value(self, data: Any) -> int:
        """The number."""
        try:
            return number_of(self.prefix, data if isinstance(data, str) else "")
        except InvalidPublicId:
            raise serializers.ValidationError(f"not an ID of the form {self.prefix}_…", code="invalid_id") from None


class CountryField(serializers.Field[str, str, str, Any]):
    """An ISO 3166-1 alpha-2 code."""

    def to_internal_value(self, data: Any) -> str:
        """The code."""
        if not isinstance(data, str) or data not in COUNTRIES:
            raise serializers.ValidationError("not an ISO 3166-1 alpha-2 code", code="invalid")
        return data


class MoneyOut(serializers.Serializer[Any]):
    """Integer minor units and an ISO 4217 code."""

    amount = serializers.IntegerField()
    currency = serializers.RegexField("^[A-Z]{3}$")


def page_of(name: str, rows: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """A page of a list, for the API's document."""
    fields = {"data": rows(many=True), "next_cursor": serializers.CharField(allow_null=True)}
    return inline_serializer(name, fields=fields)


def drf_problem(error: Exception, _context: Any) -> HttpResponse:
    """Django REST framework's EXCEPTION_HANDLER: its own exceptions in our words."""
    if isinstance(error, ValidationError):
        return invalid(faults_of_drf(error.detail))
    if isinstance(error, APIException):
        return problem(error.status_code, error.default_code, str(error.default_detail))
    return problem_of(error)


def faults_of_drf(detail: Any, path: str = "") -> list[Fault]:
    """DRF's nested details as a flat list with dotted paths."""
    if isinstance(detail, Mapping):
        parts = [
            faults_of_drf(inner, path if key == "non_field_errors" else f"{path}.{key}".strip("."))
            for key, inner in detail.items()
        ]
        return [fault for part in parts for fault in part]
    if isinstance(detail, list) and detail and isinstance(detail[0], Mapping | list):
        parts = [faults_of_drf(inner, f"{path}.{position}".strip(".")) for position, inner in enumerate(detail)]
        return [fault for part in parts for fault in part]
    items = detail if isinstance(detail, list) else [detail]
    return [Fault(field=path, code=getattr(item, "code", "invalid"), detail=str(item)) for item in items]
