"""What the public API may be told, beyond the errors of the contract."""

from shop.contract import ConflictError, NotFoundError, PreconditionError


class CategoryNotFoundError(NotFoundError):
    code = "category_not_found"


class ProductNotFoundError(NotFoundError):
    code = "not_found"


class SlugTakenError(ConflictError):
    code = "slug_taken"


class SkuTakenError(ConflictError):
    code = "sku_taken"


class CategoryNotEmptyError(ConflictError):
    code = "category_not_empty"


class CategoryCycleError(ConflictError):
    code = "category_cycle"


class TooManyVariantsError(ConflictError):
    code = "too_many_variants"


class VersionMismatchError(PreconditionError):
    code = "version_mismatch"
