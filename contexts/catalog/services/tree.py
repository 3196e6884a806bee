"""Categories that exist: renamed, moved in the tree, deleted. `api` comes in here."""

from collections.abc import Mapping
from typing import Any, Final

from contexts.catalog.domain import CategoryCard
from contexts.catalog.models import Category, CategoryBucket, Product
from contexts.catalog.services.categories import (
    await_others,
    buckets_of,
    card,
    category_not_found,
    require_category,
    save_with_slug,
)
from contexts.catalog.services.errors import CategoryCycleError, CategoryNotEmptyError
from contexts.catalog.services.placing import CONTEXT, by_shard
from shop.contract import Fault
from shop.sharding import home_atomic, key_of_bucket, shard_atomic

NOT_EMPTY: Final = "there are products or other categories in it"

type Parents = dict[int, int | None]


def change_category(category_id: int, changes: Mapping[str, Any]) -> CategoryCard:
    """Set ``name``, ``slug`` or ``parent_id``; without a parent it is at the top.

    Database: the home, one transaction; a move locks the whole tree, so that two moves can't make a circle.

    Raises:
        NotFoundError: There is none.
        CategoryNotFoundError: There is no such parent.
        SlugTakenError: Another category has the slug.
        CategoryCycleError: The parent is the category itself or below it.
    """
    with home_atomic(CONTEXT):
        if changes.get("parent_id") is not None:
            rows = Category.objects.select_for_update().order_by("pk")
            _refuse_circle(
                category_id, changes["parent_id"], {row.pk: row.parent_id for row in rows if not row.closing}
            )
        row = Category.objects.select_for_update().filter(pk=category_id).first() or require_category(category_id)
        for name, value in changes.items():
            setattr(row, name, value)
        save_with_slug(row)
    return card(row)


def _refuse_circle(category_id: int, parent_id: int, parents: Parents) -> None:
    if category_id not in parents:
        raise category_not_found("")
    if parent_id not in parents:
        raise category_not_found("parent_id")
    above: int | None = parent_id
    while above is not None:
        if above == category_id:
            fault = Fault(field="parent_id", code="category_cycle", detail="it is the category itself or below it")
            raise CategoryCycleError(detail="a category can't be below itself", faults=(fault,))
        above = parents.get(above)


def delete_category(category_id: int) -> None:
    """Delete an empty category; archived products count too, for they are still read with their category.

    Database: the home, closing the category to what comes in; then each shard that may hold its products, waiting for
    those that are coming in; then the home again. A crash in between leaves it closed: delete it again.

    Raises:
        NotFoundError: There is none.
        CategoryNotEmptyError: It has products or other categories.
    """
    with home_atomic(CONTEXT):
        _refuse_children(_locked(category_id))
        Category.objects.filter(pk=category_id).update(closing=True)
    if _has_products(category_id):
        with home_atomic(CONTEXT):
            Category.objects.filter(pk=category_id).update(closing=False)
        raise CategoryNotEmptyError(detail=NOT_EMPTY)
    with home_atomic(CONTEXT):
        row = _locked(category_id)
        if not row.closing:  # another deletion found products and opened it again
            raise CategoryNotEmptyError(detail=NOT_EMPTY)
        CategoryBucket.objects.filter(category=row).delete()
        row.delete()


def _locked(category_id: int) -> Category:
    row = Category.objects.select_for_update().filter(pk=category_id).first()
    if row is None:
        raise category_not_found("")
    return row


def _refuse_children(row: Category) -> None:
    if Category.objects.filter(parent=row).exists():
        raise CategoryNotEmptyError(detail=NOT_EMPTY)


def _has_products(category_id: int) -> bool:
    for keys in by_shard(key_of_bucket(bucket) for bucket in buckets_of({category_id})):
        with shard_atomic(CONTEXT, keys[0]) as scope:
            await_others(category_id, alone=True)
            if Product.objects.owned_by(scope.alias).filter(category_id=category_id).exists():
                return True
    return False
