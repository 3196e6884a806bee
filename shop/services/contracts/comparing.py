"""Whether who knows an old contract and who knows the new one still understand each other.

While a new version is rolled out each side may be the older one. Arguments that an old caller sends must be read by
the new callee. Answers, errors and events travel both ways: old consumers read new ones, and what lies in queues and
outboxes was written by the old. What is merely added, and may be missing, breaks nobody.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shop.services.contracts.describing import Snapshot
from shop.services.contracts.reading import Reading

_FIXED = ("kind", "key", "shard_key")


def breaks(old: Snapshot, new: Snapshot) -> list[str]:
    """What ``new`` takes away from those who know ``old``: a sentence each, which begins with the place; no order."""
    ask = _Comparison(old, new)
    found = [*ask.services(), *ask.events(), *ask.errors()]
    return sorted(set(found))


class _Comparison:
    def __init__(self, old: Snapshot, new: Snapshot) -> None:
        self._old, self._new = old, new
        self._by_new = Reading(readers=new["types"], writers=old["types"], reader_is_new=True)
        self._by_old = Reading(readers=old["types"], writers=new["types"], reader_is_new=False)

    def services(self) -> Iterator[str]:
        for service, methods in self._old["services"].items():
            for name, old in methods.items():
                place = f"{service}.{name}"
                new = self._new["services"].get(service, {}).get(name)
                if new is None:
                    yield f"{place}: removed"
                else:
                    yield from self._method(place, old, new)

    def events(self) -> Iterator[str]:
        for topic, old in self._old["events"].items():
            new = self._new["events"].get(topic)
            if new is None:
                yield f"{topic}: removed"
                continue
            for each in ("key", "shard_key"):
                if old[each] != new[each]:
                    yield f"{topic}: {each} was {old[each]}, is {new[each]}"
            yield from self._both(topic, old["payload"], new["payload"])

    def errors(self) -> Iterator[str]:
        for name, old in self._old["errors"].items():
            new = self._new["errors"].get(name)
            if new is None:
                yield f"{name}: removed"
                continue
            if old["code"] != new["code"]:
                yield f"{name}: code was {old['code']}, is {new['code']}"
            yield from self._both(name, old["data"], new["data"])

    def _method(self, place: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
        for each in _FIXED:
            if old[each] != new[each]:
                yield f"{place}: {each} was {old[each]}, is {new[each]}"
        for caller in sorted(set(old["callers"]) - set(new["callers"])):
            yield f"{place}: {caller} may call it no more"
        if new["max_batch"] < old["max_batch"]:
            yield f"{place}: max_batch was {old['max_batch']}, is {new['max_batch']}"
        for error in sorted(set(old["errors"]) ^ set(new["errors"])):
            known = "no longer declared, an older callee raises it" if error in old["errors"] else "unknown to callers"
            yield f"{place}: {error}: {known}"
        yield from self._by_new.refusals(new["arguments"], old["arguments"], place)
        for name, was in old["arguments"]["properties"].items():
            present = new["arguments"]["properties"].get(name, was)
            if "default" in was and "default" in present and was["default"] != present["default"]:
                yield f"{place}.{name}: default was {was['default']!r}, is {present['default']!r}"
        yield from self._both(f"{place} ->", old["returns"], new["returns"])

    def _both(self, place: str, old: Any, new: Any) -> Iterator[str]:
        yield from self._by_new.refusals(new, old, place)
        yield from self._by_old.refusals(old, new, place)
