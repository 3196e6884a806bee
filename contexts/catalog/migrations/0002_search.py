"""What Django's models can't say of products: names by code point, and the index behind `?q=`.

Names are compared by code point on every engine, as Python compares them when pages of shards are merged.
`search_text` holds folded words with single blanks between them, so the index needs no parser: on PostgreSQL it is one
over an array of lexemes, on SQLite an FTS5 table kept by triggers. A later migration that makes Django copy the product
table on SQLite drops these triggers with the old table, and has to run `make_index` again.
"""

from django.db import migrations

POSTGRES = (
    'ALTER TABLE shop_catalog_product ALTER COLUMN name_key TYPE varchar(600) COLLATE "C"',
    "CREATE INDEX catalog_product_words ON shop_catalog_product"
    " USING gin (array_to_tsvector(string_to_array(search_text, ' ')))",
)
SQLITE = (
    "CREATE VIRTUAL TABLE shop_catalog_product_words USING fts5("
    "search_text, content='shop_catalog_product', content_rowid='id', tokenize='ascii', prefix='2 3')",
    "CREATE TRIGGER catalog_product_words_insert AFTER INSERT ON shop_catalog_product BEGIN"
    " INSERT INTO shop_catalog_product_words(rowid, search_text) VALUES (new.id, new.search_text); END",
    "CREATE TRIGGER catalog_product_words_delete AFTER DELETE ON shop_catalog_product BEGIN"
    " INSERT INTO shop_catalog_product_words(shop_catalog_product_words, rowid, search_text)"
    " VALUES ('delete', old.id, old.search_text); END",
    "CREATE TRIGGER catalog_product_words_update AFTER UPDATE OF search_text ON shop_catalog_product BEGIN"
    " INSERT INTO shop_catalog_product_words(shop_catalog_product_words, rowid, search_text)"
    " VALUES ('delete', old.id, old.search_text);"
    " INSERT INTO shop_catalog_product_words(rowid, search_text) VALUES (new.id, new.search_text); END",
    "INSERT INTO shop_catalog_product_words(shop_catalog_product_words) VALUES ('rebuild')",
)


def make_index(_apps, schema_editor):
    for statement in POSTGRES if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("shop_catalog", "0001_initial")]

    operations = [migrations.RunPython(make_index, migrations.RunPython.noop)]
