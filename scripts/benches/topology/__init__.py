"""What it costs when contexts live apart. `scripts/bench topology` runs it."""
