"""Products over HTTP."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from contexts.catalog.api.bodies import ProductBody, ProductChange
from contexts.catalog.api.queries import list_name, sort_of, versions_of, wanted
from contexts.catalog.api.shown import (
    PRODUCTS,
    ProductOut,
    listed,
    product_answer,
    product_json,
    request_id,
    sees_drafts,
)
from contexts.catalog.domain import ProductCard
from contexts.catalog.services import changing, listing, products
from shop.http.drf import read
from shop.http.idempotency import answering
from shop.http.ids import from_path
from shop.http.paging import limit_of, position


class ProductsView(APIView):
    @extend_schema(operation_id="list_products", request=None, responses={200: PRODUCTS})
    def get(self, request: Request) -> HttpResponse:
        """Active products, as the filters ask. A category includes its descendants."""
        query = request.query_params
        asked = wanted(query)
        name = list_name(query)
        page = listing.list_products(asked, sort=sort_of(query), limit=limit_of(query), after=position(name, query))
        return listed(name, [product_json(each) for each in page.products], page.last)

    @extend_schema(operation_id="create_product", request=ProductBody, responses={201: ProductOut})
    def post(self, request: Request) -> HttpResponse:
        """Add a product with its variants."""
        body = read(request, ProductBody)
        draft = products.ProductDraft(
            **{**body, "variants": [products.VariantDraft(**each) for each in body["variants"]]}
        )
        done = answering(request._request, _created)
        return _created(products.create_product(draft, request_id=request_id(request), done=done))


class ProductView(APIView):
    @extend_schema(operation_id="show_product", request=None, responses={200: ProductOut})
    def get(self, request: Request, product_id: str) -> HttpResponse:
        """One product; a draft only for staff."""
        return product_answer(listing.product(from_path("prd", product_id), drafts=sees_drafts(request)))

    @extend_schema(operation_id="change_product", request=ProductChange, responses={200: ProductOut})
    def patch(self, request: Request, product_id: str) -> HttpResponse:
        """Change a product."""
        changes = read(request, ProductChange)
        number = from_path("prd", product_id)
        return product_answer(changing.change_product(number, changes, versions=versions_of(request)))

    @extend_schema(operation_id="archive_product", request=None, responses={204: None})
    def delete(self, request: Request, product_id: str) -> HttpResponse:
        """Archive a product. It is neither listed nor sold any more, and still read by its ID."""
        changing.archive_product(from_path("prd", product_id), versions=versions_of(request))
        return HttpResponse(status=204)


def _created(made: ProductCard) -> HttpResponse:
    return product_answer(made, status=201)
