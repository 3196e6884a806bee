"""The word that stands in the place of what was erased."""

from typing import Final

ERASED: Final = "erased"
