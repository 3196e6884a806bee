"""What the public API may be told, beyond the errors of the contract."""

from shop.contract import ConflictError, NotFoundError, PreconditionError


class CategoryNotFoundError(NotFoundError):
    """There is no such category."""

    code = "category_not_found"


class ProductNotFoundError(NotFoundError):
    """There is no such product."""

    code = "not_found"


class SlugTakenError(ConflictError):
    """Another category has this slug."""

    code = "slug_taken"


class SkuTakenError(ConflictError):
    """Another variant has this SKU."""

    code = "sku_taken"


class CategoryNotEmptyError(ConflictError):
    """There are products or categories in it."""

    code = "category_not_empty"


class CategoryCycleError(ConflictError):
    """The category would be below itself."""

    code = "category_cycle"


class TooManyVariantsError(ConflictError):
    """The product has as many variants as a product can have."""

    code = "too_many_variants"


class VersionMismatchError(PreconditionError):
    """The product has another version by now."""

    code = "version_mismatch"
