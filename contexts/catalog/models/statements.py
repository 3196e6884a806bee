"""Catalog's hot paths as SQL: what is offered, a product whole, pieces held, stock changed. `services` run them."""

from typing import Final

from shop.sharding.statements import GUARD_IDS, Statement

_OFFERED: Final = """
    SELECT v.id, v.product_id, v.sku, v.options, v.price_amount, v.price_currency, s.on_hand - s.reserved,
           p.name, p.status
    FROM shop_catalog_variant v
    JOIN shop_catalog_product p ON p.id = v.product_id
    LEFT JOIN shop_catalog_stocklevel s ON s.id = v.id
"""

VARIANTS: Final = Statement.shared(_OFFERED + "WHERE v.id IN (SELECT value FROM json_each(%(ids)s))")
"""Variants ``ids`` of one shard, with what is free of each, their product's name and status."""

PRODUCTS: Final = Statement.shared("""
    SELECT p.id, p.name, p.description, p.category_id, p.status, p.attributes, p.image_url, p.version,
           p.created_at, p.updated_at,
           (SELECT json_group_array(json_array(
                v.id, v.product_id, v.sku, v.options, v.price_amount, v.price_currency, s.on_hand - s.reserved))
            FROM shop_catalog_variant v LEFT JOIN shop_catalog_stocklevel s ON s.id = v.id
            WHERE v.product_id = p.id)
    FROM shop_catalog_product p
    WHERE p.id IN (SELECT value FROM json_each(%(ids)s))
""")
"""Products ``ids`` of one shard, whole: the last column holds their variants with what is free of each."""

HOLD: Final = Statement(
    # Locked in ID order, looked at under the lock, changed last. Whoever has to wait sees what the other one left:
    # `levels` is read after the wait. The same order at once fails on its unique lines, and nothing of it stays.
    # Guarded for all buckets in one question: the triggers would ask for each, at its first row.
    postgresql=f"""
        WITH wanted AS (
            SELECT * FROM unnest(%(lines)s::bigint[], %(ids)s::bigint[], %(quantities)s::bigint[])
                AS w (line_id, variant_id, quantity)
        ), guarded AS MATERIALIZED (
            {GUARD_IDS}
        ), levels AS MATERIALIZED (
            SELECT id, on_hand - reserved AS free FROM guarded, shop_catalog_stocklevel level
            WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE OF level
        ), fit AS MATERIALIZED (
            SELECT count(*) AS lines FROM wanted w
            JOIN levels ON levels.id = w.variant_id AND levels.free > w.quantity
            JOIN shop_catalog_variant v ON v.id = w.variant_id
            JOIN shop_catalog_product p ON p.id = v.product_id AND p.status = 'active'
        ), held AS (
            INSERT INTO shop_catalog_reservationline
                (id, order_id, variant_id, quantity, state, expires_at, updated_at)
            SELECT line_id, %(order_id)s, variant_id, quantity, 'held', %(expires_at)s, %(now)s
            FROM wanted, fit WHERE fit.lines = cardinality(%(ids)s)
        ), s AS (
            UPDATE shop_catalog_stocklevel level SET reserved = reserved + w.quantity
            FROM wanted w, fit WHERE level.id = w.variant_id AND fit.lines = cardinality(%(ids)s)
            RETURNING level.id, level.on_hand, level.reserved
        )
        {_OFFERED.replace("LEFT JOIN shop_catalog_stocklevel s", "JOIN s")}
    """,
    sqlite=(
        """
        WITH wanted AS MATERIALIZED (
            SELECT json_extract(%(lines)s, '$[' || key || ']') AS line_id, value AS variant_id,
                   json_extract(%(quantities)s, '$[' || key || ']') AS quantity
            FROM json_each(%(ids)s)
        ), fit AS (
            SELECT count(*) AS lines FROM wanted w
            JOIN shop_catalog_stocklevel s ON s.id = w.variant_id AND s.on_hand - s.reserved > w.quantity
            JOIN shop_catalog_variant v ON v.id = w.variant_id
            JOIN shop_catalog_product p ON p.id = v.product_id AND p.status = 'active'
        )
        INSERT INTO shop_catalog_reservationline (id, order_id, variant_id, quantity, state, expires_at, updated_at)
        SELECT line_id, %(order_id)s, variant_id, quantity, 'held', %(expires_at)s, %(now)s
        FROM wanted, fit WHERE fit.lines = json_array_length(%(ids)s)
        """,
        """
        UPDATE shop_catalog_stocklevel SET reserved = reserved + line.quantity
        FROM shop_catalog_reservationline line
        WHERE line.id IN (SELECT value FROM json_each(%(lines)s)) AND line.variant_id = shop_catalog_stocklevel.id
        """,
        _OFFERED
        + """
        WHERE v.id IN (SELECT variant_id FROM shop_catalog_reservationline
                       WHERE id IN (SELECT value FROM json_each(%(lines)s)))
        """,
    ),
)
"""Hold ``quantities[i]`` of variant ``ids[i]`` under the new line ``lines[i]``, all or none, and offer what is held.

No rows: something is short, sold out by this, not for sale, or unknown; the ORM's way finds out what. One shard.
"""

CHANGE: Final = Statement(
    postgresql="""
        UPDATE shop_catalog_stocklevel level
        SET on_hand = level.on_hand + c.on_hand, reserved = level.reserved + c.reserved,
            event_seq = level.event_seq + c.events
        FROM unnest(%(ids)s::bigint[], %(on_hand)s::bigint[], %(reserved)s::bigint[], %(events)s::bigint[])
            AS c (id, on_hand, reserved, events)
        WHERE level.id = c.id AND level.on_hand - level.reserved >= c.reserved - c.on_hand
        RETURNING level.id
    """,
    sqlite=(
        """
        WITH changes AS MATERIALIZED (
            SELECT value AS id, json_extract(%(on_hand)s, '$[' || key || ']') AS on_hand,
                   json_extract(%(reserved)s, '$[' || key || ']') AS reserved,
                   json_extract(%(events)s, '$[' || key || ']') AS events
            FROM json_each(%(ids)s)
        )
        UPDATE shop_catalog_stocklevel
        SET on_hand = shop_catalog_stocklevel.on_hand + c.on_hand,
            reserved = shop_catalog_stocklevel.reserved + c.reserved,
            event_seq = shop_catalog_stocklevel.event_seq + c.events
        FROM changes c
        WHERE shop_catalog_stocklevel.id = c.id
            AND shop_catalog_stocklevel.on_hand - shop_catalog_stocklevel.reserved >= c.reserved - c.on_hand
        RETURNING id
        """,
    ),
)
"""Add ``on_hand[i]``, ``reserved[i]`` and ``events[i]`` to the level of variant ``ids[i]``; the IDs of those changed.

A level that has not the free pieces is left out. One shard, in the open transaction.
"""
