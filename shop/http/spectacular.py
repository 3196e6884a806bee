"""Teaches drf-spectacular our bodies and fields. It comes in by REST_FRAMEWORK's DEFAULT_SCHEMA_CLASS."""

from typing import Any, Final

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction

from shop.http.countries import COUNTRIES
from shop.http.currencies import CURRENCIES
from shop.http.ids import id_schema

HOUSE: Final = "shop.http.drf"


class RoutedSchema(AutoSchema):
    """Describes bodies and answers of a view; all else of an operation stands in the route table."""

    def _resolve_path_parameters(self, variables: list[str]) -> list[dict[str, Any]]:
        return []

    def _get_request_body(self, direction: Direction = "request") -> Any:
        """That of a DELETE too, where it takes one: drf-spectacular leaves it out."""
        method, self.method = self.method, "POST" if self.method == "DELETE" else self.method
        try:
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]  # it has no types inside
        finally:
            self.method = method


class ClosedBody(OpenApiSerializerExtension):
    """A body takes no field that it does not declare."""

    target_class = f"{HOUSE}.Body"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """The schema, closed."""
        shape = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        if type(self.target).__doc__ is None:
            shape.pop("description", None)  # it would be that of all bodies
        return {**shape, "additionalProperties": False}


class PublicId(OpenApiSerializerFieldExtension):
    """A public ID is a text of one form."""

    target_class = f"{HOUSE}.PublicIdField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """The schema, by its prefix."""
        return id_schema(self.target.prefix)


class Country(OpenApiSerializerFieldExtension):
    """A country is one of a list."""

    target_class = f"{HOUSE}.CountryField"

    def get_name(self) -> str:
        """Of the component."""
        return "Country"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """The list."""
        return {"type": "string", "enum": sorted(COUNTRIES)}


class Currency(OpenApiSerializerFieldExtension):
    """A currency is one of a list."""

    target_class = f"{HOUSE}.CurrencyField"

    def get_name(self) -> str:
        """Of the component."""
        return "Currency"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """The list."""
        return {"type": "string", "enum": sorted(CURRENCIES)}
