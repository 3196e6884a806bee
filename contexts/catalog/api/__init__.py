"""HTTP of catalog, on Django REST framework: bodies in, cards out, use cases between. `urls` comes in here.

The gateway has checked body, token, role and key before a view runs.
"""

from contexts.catalog.api.categories import CategoriesView, CategoryView
from contexts.catalog.api.products import ProductsView, ProductView
from contexts.catalog.api.stock import StockAdjustmentsView, StockMovementsView, VariantStockView
from contexts.catalog.api.variants import ProductVariantsView, VariantsView, VariantView

__all__ = [
    "CategoriesView",
    "CategoryView",
    "ProductVariantsView",
    "ProductView",
    "ProductsView",
    "StockAdjustmentsView",
    "StockMovementsView",
    "VariantStockView",
    "VariantView",
    "VariantsView",
]
