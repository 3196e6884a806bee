"""Names are compared by code point on every engine, as Python compares them when pages of shards are merged."""

from django.db import migrations


def by_code_point(_apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE shop_catalog_product ALTER COLUMN name_key TYPE varchar(600) COLLATE "C"')


class Migration(migrations.Migration):
    dependencies = [("shop_catalog", "0001_initial")]

    operations = [migrations.RunPython(by_code_point, migrations.RunPython.noop)]
