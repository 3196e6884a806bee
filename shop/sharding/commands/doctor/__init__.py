"""`manage.py shards doctor`: looks for everything that is wrong with shards, and says what to do. Reads only."""

from shop.sharding.commands.doctor.examination import examine

__all__ = ["examine"]
