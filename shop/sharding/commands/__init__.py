"""What `manage.py shards` does, a file per subcommand. The management command comes in here, and nobody else.

They read control tables themselves and never ask `shard_map`, whose watch would make each of them a process that the
others have to wait for. What they find is a plain value, shown by `shown`.
"""
