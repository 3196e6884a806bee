"""What events cost from commit to handler over a broker. `scripts/bench events` runs it. An app, for a handler."""
