"""The tree of categories, at home. `api`, listings and loads come in here."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError

from contexts.catalog.domain import MAX_SLUG, CategoryCard, slug_of
from contexts.catalog.models import Category, CategoryBucket
from contexts.catalog.services.errors import CategoryNotFoundError, SlugTakenError
from contexts.catalog.services.placing import CONTEXT
from shop.contract import Fault
from shop.sharding import bucket_of, home_atomic, new_id
from shop.sharding.public_ids import characters_of
from shop.sharding.scatter import Page, keyset
from shop.sharding.scope import savepoint

NEWEST: Sequence[str] = ("-created_at", "-id")


def create_category(
    *, name: str, slug: str | None = None, parent_id: int | None = None, request_id: int | None = None
) -> CategoryCard:
    """Make a category; its ID's bucket is where its products will be.

    Database: the home, one transaction. Safe to repeat: by ``request_id``.

    Raises:
        SlugTakenError: Another category has the slug, given or made from the name.
        CategoryNotFoundError: There is no such parent.
    """
    category_id = new_id(CONTEXT)
    with home_atomic(CONTEXT):
        known = Category.objects.filter(request_id=request_id).first() if request_id is not None else None
        if known is not None:
            return _card(known)
        if parent_id is not None:
            require_category(parent_id, field="parent_id")
        row = Category(
            id=category_id,
            name=name,
            slug=slug or slug_of(name) or f"category-{characters_of(category_id).lower()}"[:MAX_SLUG],
            parent_id=parent_id,
            request_id=request_id,
            created_at=datetime.now(UTC),
        )
        try:
            with savepoint():
                row.save(force_insert=True)
        except IntegrityError:
            fault = Fault(field="slug", code="slug_taken", detail="another category has it")
            raise SlugTakenError(detail=f"the slug {row.slug!r} is taken", faults=(fault,)) from None
        CategoryBucket.objects.create(id=new_id(CONTEXT, near=category_id), category=row, bucket=bucket_of(category_id))
    return _card(row)


def category(category_id: int) -> CategoryCard:
    """One category.

    Raises:
        CategoryNotFoundError: There is none.
    """
    return _card(require_category(category_id))


def category_with_slug(slug: str) -> CategoryCard | None:
    """The category at an address, if there is one."""
    row = Category.objects.filter(slug=slug).first()
    return _card(row) if row is not None else None


def require_category(category_id: int, *, field: str = "") -> Category:
    """The row.

    Raises:
        CategoryNotFoundError: There is none; ``field`` of the request named it.
    """
    row = Category.objects.filter(pk=category_id).first()
    if row is None:
        faults = (Fault(field=field, code="category_not_found", detail="there is no such category"),)
        raise CategoryNotFoundError(detail="there is no such category", faults=faults if field else ())
    return row


def list_categories(*, parent_id: int | None, limit: int, after: Sequence[Any] | None) -> Page[CategoryCard]:
    """Categories newest first; with ``parent_id`` its children only."""
    rows = Category.objects.order_by(*NEWEST)
    if parent_id is not None:
        rows = rows.filter(parent_id=parent_id)
    if after is not None:
        rows = rows.filter(keyset(NEWEST, after))
    found = list(rows[: limit + 1])
    return Page(rows=[_card(row) for row in found[:limit]], more=len(found) > limit)


def with_descendants(category_id: int) -> set[int]:
    """The category and everything below it; empty if there is no such one. Database: one read."""
    children: dict[int | None, list[int]] = {}
    for each, parent_id in Category.objects.values_list("pk", "parent_id"):
        children.setdefault(parent_id, []).append(each)
    known = {each for level in children.values() for each in level}
    found, waiting = set[int](), [category_id] if category_id in known else []
    while waiting:
        each = waiting.pop()
        found.add(each)
        waiting.extend(children.get(each, ()))
    return found


def buckets_of(category_ids: set[int]) -> set[int]:
    """Where products of these categories may be."""
    rows = CategoryBucket.objects.filter(category_id__in=category_ids)
    return set(rows.values_list("bucket", flat=True))


def _card(row: Category) -> CategoryCard:
    return CategoryCard(id=row.pk, name=row.name, slug=row.slug, parent_id=row.parent_id, created_at=row.created_at)
