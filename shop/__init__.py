"""The shared kernel: knows no context by name and imports no `config`."""
