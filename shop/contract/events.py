"""What an event is."""

import re
from dataclasses import dataclass, fields
from typing import ClassVar

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact that has happened: past tense, never changed once published; a new shape is a new ``version``.

    Subclasses name two of their own fields:

    Attributes:
        key: The aggregate's ID (decimal). Events of one key are handled in order.
        shard_key: The ID (decimal) by which consumers find the one shard they write.
        version: Raised with every change of the fields.
        personal: Fields that hold what people wrote. They are emptied in outbox and inbox once the customer whose ID is
            the shard key is erased: no handler may need them.
    """

    key: ClassVar[str]
    shard_key: ClassVar[str]
    version: ClassVar[int] = 1
    personal: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def context(cls) -> str:
        """Name of the publishing context: the folder that holds the contract."""
        return cls.__module__.split(".")[1]

    @classmethod
    def topic(cls) -> str:
        """Wire name ``<context>.<event>.v<version>``, e.g. ``ordering.order_placed.v1``."""
        return f"{cls.context()}.{_WORD.sub('_', cls.__name__).lower()}.v{cls.version}"

    def aggregate_id(self) -> str:
        """Value of the field that ``key`` names."""
        return str(getattr(self, self.key))

    def shard_key_id(self) -> int:
        """Value of the field that ``shard_key`` names, as a number."""
        return int(getattr(self, self.shard_key))

    @classmethod
    def check(cls) -> None:
        """Refuse an event whose keys, or what it calls personal, are not fields of it.

        Raises:
            TypeError: ``key`` or ``shard_key`` is missing or names no field, or ``personal`` names one that is none.
        """
        names = {field.name for field in fields(cls)}
        for role in ("key", "shard_key"):
            if getattr(cls, role, None) not in names:
                raise TypeError(f"{cls.__qualname__}.{role} must name one of its fields: {sorted(names)}")
        if unknown := sorted(set(cls.personal) - names):
            raise TypeError(f"{cls.__qualname__}.personal names {unknown}, which it has not: {sorted(names)}")
