"""Catalog in Django's admin. Empty until the kernel has a read-only admin that knows shards."""
