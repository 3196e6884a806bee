"""Staff screens of catalog."""

from contexts.catalog.models import (
    Category,
    CategoryBucket,
    Product,
    ReservationLine,
    StockLevel,
    StockMovement,
    Variant,
)
from shop.staff.screens import show

show(Category, "name", "slug", "parent_id", "created_at")
show(CategoryBucket, "category_id", "bucket")
show(Product, "name", "category_id", "status", "version", "created_at")
show(Variant, "sku", "product_id", "price_amount", "price_currency")
show(StockLevel, "on_hand", "reserved")
show(ReservationLine, "order_id", "variant_id", "quantity", "state", "expires_at")
show(StockMovement, "variant_id", "delta", "reason", "cause", "on_hand", "at")
