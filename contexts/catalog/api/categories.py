"""The tree of categories over HTTP."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from contexts.catalog.api.bodies import CategoryBody, CategoryChange
from contexts.catalog.api.shown import CATEGORIES, CategoryOut, category_json, listed, request_id
from contexts.catalog.services import categories, tree
from shop.http.drf import read
from shop.http.ids import from_path, from_request
from shop.http.paging import limit_of, position
from shop.http.rendering import answer


class CategoriesView(APIView):
    @extend_schema(operation_id="list_categories", request=None, responses={200: CATEGORIES})
    def get(self, request: Request) -> HttpResponse:
        """Categories, newest first; those of one parent, or all."""
        query = request.query_params
        asked = query.get("parent")
        page = categories.list_categories(
            parent_id=None if asked is None else from_request("cat", asked, "parent"),
            limit=limit_of(query),
            after=position(f"categories:{asked}", query),
        )
        last = (page.rows[-1].created_at, page.rows[-1].id) if page.more else None
        shown = [category_json(each) for each in page.rows]
        return listed(f"categories:{asked}", shown, last)

    @extend_schema(operation_id="create_category", request=CategoryBody, responses={201: CategoryOut})
    def post(self, request: Request) -> HttpResponse:
        """Add a category."""
        made = categories.create_category(**read(request, CategoryBody), request_id=request_id(request))
        return answer(category_json(made), status=201)


class CategoryView(APIView):
    @extend_schema(operation_id="show_category", request=None, responses={200: CategoryOut})
    def get(self, _request: Request, category_id: str) -> HttpResponse:
        """One category."""
        return answer(category_json(categories.category(from_path("cat", category_id))))

    @extend_schema(operation_id="change_category", request=CategoryChange, responses={200: CategoryOut})
    def patch(self, request: Request, category_id: str) -> HttpResponse:
        """Rename a category, or move it in the tree."""
        changes = read(request, CategoryChange)
        return answer(category_json(tree.change_category(from_path("cat", category_id), changes)))

    @extend_schema(operation_id="delete_category", request=None, responses={204: None})
    def delete(self, _request: Request, category_id: str) -> HttpResponse:
        """Delete an empty category."""
        tree.delete_category(from_path("cat", category_id))
        return HttpResponse(status=204)
