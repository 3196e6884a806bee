#!/usr/bin/env python
"""Django's command line."""

import os
import sys

from django.core.management import execute_from_command_line

from shop.settings import SettingsError


def main() -> None:
    """Run the command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        execute_from_command_line(sys.argv)
    except SettingsError as error:
        for fault in error.problems:
            sys.stderr.write(f"settings: {fault}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
