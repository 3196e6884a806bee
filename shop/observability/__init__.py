"""Seeing what runs: log lines, trace IDs, figures, health. Any room may come in."""
