"""The tree of categories, at home. `api`, listings and loads come in here; changes are in `tree`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.db import IntegrityError, connections

from contexts.catalog.domain import MAX_SLUG, CategoryCard, slug_of
from contexts.catalog.models import Category, CategoryBucket
from contexts.catalog.services.errors import CategoryNotFoundError, SlugTakenError
from contexts.catalog.services.placing import CONTEXT
from shop.contract import Fault, NotFoundError
from shop.sharding import bucket_of, home_atomic, new_id
from shop.sharding.public_ids import characters_of
from shop.sharding.scatter import Page, keyset
from shop.sharding.scope import required_scope, savepoint

NEWEST: Sequence[str] = ("-created_at", "-id")
TOGETHER: Final = "SELECT pg_advisory_xact_lock_shared(%s)"
ALONE: Final = "SELECT pg_advisory_xact_lock(%s)"


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
        if known := _made_before(request_id):
            return card(known)
        if parent_id is not None:
            require_open(parent_id, field="parent_id", lock=True)
        row = Category(
            id=category_id,
            name=name,
            slug=slug or slug_of(name) or f"category-{characters_of(category_id).lower()}"[:MAX_SLUG],
            parent_id=parent_id,
            request_id=request_id,
            created_at=datetime.now(UTC),
        )
        try:
            save_with_slug(row, force_insert=True)
        except SlugTakenError:  # by another category, or by this one, which a copy of the request has made meanwhile
            if known := _made_before(request_id):
                return card(known)
            raise
        CategoryBucket.objects.create(id=new_id(CONTEXT, near=category_id), category=row, bucket=bucket_of(category_id))
    return card(row)


def _made_before(request_id: int | None) -> Category | None:
    return None if request_id is None else Category.objects.filter(request_id=request_id).first()


def save_with_slug(row: Category, *, force_insert: bool = False) -> None:
    """Save the row in the open transaction.

    Raises:
        SlugTakenError: Another category has the slug.
    """
    try:
        with savepoint():
            row.save(force_insert=force_insert)
    except IntegrityError:
        fault = Fault(field="slug", code="slug_taken", detail="another category has it")
        raise SlugTakenError(detail=f"the slug {row.slug!r} is taken", faults=(fault,)) from None


def category(category_id: int) -> CategoryCard:
    """One category.

    Raises:
        NotFoundError: There is none.
    """
    return card(require_category(category_id))


def category_with_slug(slug: str) -> CategoryCard | None:
    """The category at an address, if there is one."""
    row = Category.objects.filter(slug=slug).first()
    return card(row) if row is not None else None


def require_category(category_id: int, *, field: str = "") -> Category:
    """The row.

    Raises:
        NotFoundError: There is none; a `CategoryNotFoundError` where ``field`` of the request named it.
    """
    row = Category.objects.filter(pk=category_id).first()
    if row is None:
        raise category_not_found(field)
    return row


def category_not_found(field: str) -> NotFoundError:
    """The error; ``field`` of the request named the category, or its path did if that is empty."""
    detail = "there is no such category"
    if not field:
        return NotFoundError(detail=detail)
    return CategoryNotFoundError(detail=detail, faults=(Fault(field=field, code="category_not_found", detail=detail),))


def require_open(category_id: int, *, field: str = "", lock: bool = False) -> Category:
    """The row of a category that things may come into; with ``lock`` it stays so until the transaction ends.

    Raises:
        CategoryNotFoundError: There is none, or it is about to be deleted.
    """
    if lock:
        Category.objects.select_for_update().filter(pk=category_id).first()
    row = require_category(category_id, field=field)
    if row.closing:
        raise category_not_found(field)
    return row


def admit_bucket(category_id: int, bucket: int, *, field: str) -> None:
    """Let products of ``bucket`` come into the category: a listing looks there from now on. Safe to repeat.

    Raises:
        CategoryNotFoundError: There is none, or it is about to be deleted.
    """
    with home_atomic(CONTEXT):
        row = require_open(category_id, field=field, lock=True)
        if not CategoryBucket.objects.filter(category=row, bucket=bucket).exists():
            CategoryBucket.objects.create(id=new_id(CONTEXT, near=category_id), category=row, bucket=bucket)


def hold_open(category_id: int, *, field: str) -> None:
    """Keep the category from being deleted until the open transaction, which puts a product into it, ends.

    Raises:
        CategoryNotFoundError: It is gone, or about to be deleted.
    """
    await_others(category_id, alone=False)
    require_open(category_id, field=field)


def await_others(category_id: int, *, alone: bool) -> None:
    """On the open transaction's shard: with ``alone`` wait until nobody is putting products into the category."""
    connection = connections[required_scope("a hold on a category").alias]
    if connection.vendor == "postgresql":  # on SQLite writers are alone anyway
        with connection.cursor() as cursor:
            cursor.execute(ALONE if alone else TOGETHER, [category_id])


def list_categories(*, parent_id: int | None, limit: int, after: Sequence[Any] | None) -> Page[CategoryCard]:
    """Categories newest first; with ``parent_id`` its children only."""
    rows = Category.objects.order_by(*NEWEST)
    if parent_id is not None:
        rows = rows.filter(parent_id=parent_id)
    if after is not None:
        rows = rows.filter(keyset(NEWEST, after))
    found = list(rows[: limit + 1])
    return Page(rows=[card(row) for row in found[:limit]], more=len(found) > limit)


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


def card(row: Category) -> CategoryCard:
    return CategoryCard(id=row.pk, name=row.name, slug=row.slug, parent_id=row.parent_id, created_at=row.created_at)
