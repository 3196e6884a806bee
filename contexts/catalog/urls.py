"""Addresses of catalog, under `/api/v1/catalog/`."""

from django.urls import URLPattern, path

from contexts.catalog.api import (
    CategoriesView,
    CategoryView,
    ProductsView,
    ProductVariantsView,
    ProductView,
    StockAdjustmentsView,
    StockMovementsView,
    VariantStockView,
    VariantsView,
    VariantView,
    queries,
)
from contexts.catalog.contract import StockWouldBeNegativeError
from contexts.catalog.services.errors import (
    CategoryCycleError,
    CategoryNotEmptyError,
    CategoryNotFoundError,
    SkuTakenError,
    SlugTakenError,
    TooManyVariantsError,
    VersionMismatchError,
)
from shop.gateway.routes import Key, Route, Who
from shop.http.paging import PAGE
from shop.http.problems import InvalidIdError
from shop.sharding.unique import CreationVoided

EDITOR = "catalog_editor"

IDS = {"category_id": "cat", "product_id": "prd", "variant_id": "var"}
ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="categories", who=Who.READER, query=queries.CATEGORIES, errors=(InvalidIdError,)),
    Route(
        method="POST",
        path="categories",
        who=Who.STAFF,
        role=EDITOR,
        key=Key.ACCEPTED,
        has_body=True,
        errors=(CategoryNotFoundError, SlugTakenError, InvalidIdError),
    ),
    Route(method="GET", path="categories/<category_id>", who=Who.READER),
    Route(
        method="PATCH",
        path="categories/<category_id>",
        who=Who.STAFF,
        role=EDITOR,
        has_body=True,
        errors=(CategoryNotFoundError, SlugTakenError, CategoryCycleError, InvalidIdError),
    ),
    Route(
        method="DELETE",
        path="categories/<category_id>",
        who=Who.STAFF,
        role=EDITOR,
        errors=(CategoryNotEmptyError,),
    ),
    Route(method="GET", path="products", who=Who.READER, query=queries.PRODUCTS, errors=(InvalidIdError,)),
    Route(
        method="POST",
        path="products",
        who=Who.STAFF,
        role=EDITOR,
        key=Key.REQUIRED,
        has_body=True,
        versioned=True,
        errors=(CategoryNotFoundError, SkuTakenError, CreationVoided, InvalidIdError),
    ),
    Route(method="GET", path="products/<product_id>", who=Who.READER, versioned=True),
    Route(
        method="PATCH",
        path="products/<product_id>",
        who=Who.STAFF,
        role=EDITOR,
        has_body=True,
        versioned=True,
        errors=(CategoryNotFoundError, VersionMismatchError, InvalidIdError),
    ),
    Route(
        method="DELETE",
        path="products/<product_id>",
        who=Who.STAFF,
        role=EDITOR,
        versioned=True,
        errors=(VersionMismatchError,),
    ),
    Route(
        method="POST",
        path="products/<product_id>/variants",
        who=Who.STAFF,
        role=EDITOR,
        key=Key.REQUIRED,
        has_body=True,
        errors=(SkuTakenError, TooManyVariantsError, CreationVoided),
    ),
    Route(method="GET", path="variants", who=Who.READER, query=queries.IDS, errors=(InvalidIdError,)),
    Route(
        method="PATCH",
        path="variants/<variant_id>",
        who=Who.STAFF,
        role=EDITOR,
        has_body=True,
    ),
    Route(method="GET", path="variants/<variant_id>/stock", who=Who.STAFF),
    Route(
        method="POST",
        path="variants/<variant_id>/stock/adjustments",
        who=Who.STAFF,
        role=EDITOR,
        key=Key.REQUIRED,
        has_body=True,
        errors=(StockWouldBeNegativeError,),
    ),
    Route(
        method="GET",
        path="variants/<variant_id>/stock/movements",
        who=Who.STAFF,
        query=PAGE,
    ),
)
urlpatterns: list[URLPattern] = [
    path("categories", CategoriesView.as_view()),
    path("categories/<category_id>", CategoryView.as_view()),
    path("products", ProductsView.as_view()),
    path("products/<product_id>", ProductView.as_view()),
    path("products/<product_id>/variants", ProductVariantsView.as_view()),
    path("variants", VariantsView.as_view()),
    path("variants/<variant_id>", VariantView.as_view()),
    path("variants/<variant_id>/stock", VariantStockView.as_view()),
    path("variants/<variant_id>/stock/adjustments", StockAdjustmentsView.as_view()),
    path("variants/<variant_id>/stock/movements", StockMovementsView.as_view()),
]
