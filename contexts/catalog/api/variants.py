"""Variants over HTTP: read by their IDs, added to a product, changed."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from contexts.catalog.api.bodies import VariantBody, VariantChange
from contexts.catalog.api.queries import variant_ids
from contexts.catalog.api.shown import VARIANTS, VariantOut, listed, request_id, sees_drafts, variant_json
from contexts.catalog.domain import VariantCard
from contexts.catalog.services import variants
from contexts.catalog.services.products import VariantDraft
from shop.http.drf import read
from shop.http.idempotency import answering
from shop.http.ids import from_path
from shop.http.rendering import answer


class VariantsView(APIView):
    @extend_schema(operation_id="list_variants", request=None, responses={200: VARIANTS})
    def get(self, request: Request) -> HttpResponse:
        """The variants with these IDs; what there is not is left out."""
        found = variants.variants_of_ids(variant_ids(request.query_params), drafts=sees_drafts(request))
        return listed("variants", [variant_json(each) for each in found], None)


class ProductVariantsView(APIView):
    @extend_schema(operation_id="add_variant", request=VariantBody, responses={201: VariantOut})
    def post(self, request: Request, product_id: str) -> HttpResponse:
        """Add a variant to a product."""
        draft = VariantDraft(**read(request, VariantBody))
        product = from_path("prd", product_id)
        done = answering(request._request, _created)
        return _created(variants.add_variant(product, draft, request_id=request_id(request), done=done))


class VariantView(APIView):
    @extend_schema(operation_id="change_variant", request=VariantChange, responses={200: VariantOut})
    def patch(self, request: Request, variant_id: str) -> HttpResponse:
        """Change a variant's price or options."""
        changes = read(request, VariantChange)
        return answer(variant_json(variants.change_variant(from_path("var", variant_id), **changes)))


def _created(made: VariantCard) -> HttpResponse:
    return answer(variant_json(made), status=201)
