"""What `scripts/bench` runs; the commands themselves are plain sh."""
