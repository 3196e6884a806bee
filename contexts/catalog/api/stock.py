"""Stock of variants over HTTP: what is there, why, and more or less of it."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from contexts.catalog.api.bodies import AdjustmentBody
from contexts.catalog.api.shown import MOVEMENTS, MovementOut, StockOut, listed, movement_json, request_id
from contexts.catalog.domain import MovementCard
from contexts.catalog.services import stock
from shop.http.drf import read
from shop.http.idempotency import answering
from shop.http.ids import from_path
from shop.http.paging import limit_of, position
from shop.http.rendering import answer


class VariantStockView(APIView):
    @extend_schema(operation_id="show_stock", request=None, responses={200: StockOut})
    def get(self, _request: Request, variant_id: str) -> HttpResponse:
        """What is there of a variant, what is held of it, and what is free."""
        found = stock.stock_of(from_path("var", variant_id))
        return answer({"on_hand": found.on_hand, "reserved": found.reserved, "available": found.available})


class StockAdjustmentsView(APIView):
    @extend_schema(operation_id="adjust_stock", request=AdjustmentBody, responses={201: MovementOut})
    def post(self, request: Request, variant_id: str) -> HttpResponse:
        """Add pieces of a variant, or take some away."""
        body = read(request, AdjustmentBody)
        variant = from_path("var", variant_id)
        made = stock.adjust(
            variant_id=variant,
            **body,
            movement_id=request_id(request, near=variant),
            done=answering(request._request, _adjusted),
        )
        return _adjusted(made)


class StockMovementsView(APIView):
    @extend_schema(operation_id="list_movements", request=None, responses={200: MOVEMENTS})
    def get(self, request: Request, variant_id: str) -> HttpResponse:
        """Why there is as much of a variant as there is, newest first."""
        name, query = f"movements:{variant_id}", request.query_params
        limit, after = limit_of(query), position(name, query)
        page = stock.list_movements(from_path("var", variant_id), limit=limit, after=after)
        last = (page.rows[-1].at, page.rows[-1].id) if page.more else None
        return listed(name, [movement_json(each) for each in page.rows], last)


def _adjusted(made: MovementCard) -> HttpResponse:
    return answer(movement_json(made), status=201)
