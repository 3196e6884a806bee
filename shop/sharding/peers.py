"""Columns read later for many rows at once, each at the row's owner."""

from typing import Any, override

from django.db.models import FETCH_PEERS, Model

from shop.sharding.keys import context_of_model
from shop.sharding.shard_map import alias_of


class PeersAtTheirOwners(type(FETCH_PEERS)):  # type: ignore[misc]  # its class has no public name
    """`FETCH_PEERS` for rows that may have moved since they were read: Django asks where the first one was read."""

    __slots__ = ()

    @override
    def fetch(self, fetcher: Any, instance: Model) -> None:
        groups: dict[str, list[Model]] = {}
        for peer in self._peers(instance):
            owner = alias_of(context_of_model(type(peer)), peer.pk)
            peer._state.db = owner
            groups.setdefault(owner, []).append(peer)
        for rows in groups.values():
            if len(rows) > 1:
                fetcher.fetch_many(rows)
            else:
                fetcher.fetch_one(rows[0])

    def _peers(self, instance: Model) -> list[Model]:
        known = (reference() for reference in instance._state.peers)
        return [peer for peer in known if peer is not None] or [instance]


AT_THEIR_OWNERS = PeersAtTheirOwners()
