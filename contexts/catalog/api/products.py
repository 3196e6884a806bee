"""Products over HTTP."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from contexts.catalog.api.bodies import ProductBody
from contexts.catalog.api.shown import listed, product_answer, product_json, request_id, sees_drafts
from contexts.catalog.domain import ProductCard
from contexts.catalog.services import listing, products
from shop.http.drf import read
from shop.http.idempotency import answering
from shop.http.ids import from_path, from_request
from shop.http.paging import limit_of, position


class ProductsView(APIView):
    def get(self, request: Request) -> HttpResponse:
        query = request.query_params
        asked = query.get("category")
        page = listing.list_products(
            category_id=None if asked is None else from_request("cat", asked, "category"),
            limit=limit_of(query),
            after=position(f"products:{asked}", query),
        )
        last = (page.rows[-1].created_at, page.rows[-1].id) if page.more else None
        shown = [product_json(each) for each in page.rows]
        return listed(f"products:{asked}", shown, last)

    def post(self, request: Request) -> HttpResponse:
        body = read(request, ProductBody)
        draft = products.ProductDraft(
            **{**body, "variants": [products.VariantDraft(**each) for each in body["variants"]]}
        )
        done = answering(request._request, _created)
        return _created(products.create_product(draft, request_id=request_id(request), done=done))


class ProductView(APIView):
    def get(self, request: Request, product_id: str) -> HttpResponse:
        return product_answer(listing.product(from_path("prd", product_id), drafts=sees_drafts(request)))


def _created(made: ProductCard) -> HttpResponse:
    return product_answer(made, status=201)
