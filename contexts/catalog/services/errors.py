"""What the public API may be told, beyond the errors of the contract."""

from shop.contract import ConflictError, NotFoundError


class CategoryNotFoundError(NotFoundError):
    code = "category_not_found"


class ProductNotFoundError(NotFoundError):
    code = "not_found"


class SlugTakenError(ConflictError):
    code = "slug_taken"


class SkuTakenError(ConflictError):
    code = "sku_taken"
