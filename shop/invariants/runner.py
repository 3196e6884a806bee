"""Looks at everything, waits for work in flight, and looks again at what was found. The command comes in here.

Reads only, one statement at a time and no transaction: nobody waits for it. A busy shop is never still, so what is
found counts only if a second look, some seconds later, finds it too; where events can put it right they are waited for.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connections

from shop.contract import ContextError
from shop.events.away import is_away
from shop.invariants.words import Check, Finding, Invariant, Part
from shop.services import acting_as
from shop.sharding import ShardMapMissing

LOOK_AGAIN_SECONDS: Final = 1.0

type Told = Callable[[str, str, int], None]
"""Called with the invariant's name, the place that is looked at, and how many more rows are done there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unasked:
    """Somebody who did not answer: what is there was not looked at, or not again."""

    place: str
    reason: str


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What came of one invariant."""

    invariant: Invariant
    checked: int = 0
    suspects: list["_Suspect"] = field(default_factory=list)
    unasked: list[Unasked] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        """What breaks it."""
        return [finding for suspect in self.suspects for finding in suspect.findings]


@dataclass(slots=True, kw_only=True)
class _Suspect:
    """A part in which something was found."""

    check: Check[Any]
    place: str
    part: Part
    findings: list[Finding]


class Runner:
    """One run.

    Args:
        away: Places known not to answer, with the reason: they are not asked.
        told: See `Told`.
        sleep: What waits.
    """

    def __init__(self, *, away: dict[str, str], told: Told, sleep: Callable[[float], None] = time.sleep) -> None:
        self._away = dict(away)
        self._told = told
        self._sleep = sleep

    def run(self, invariants: Sequence[Invariant], *, settle_seconds: float, wait_seconds: float) -> list[Verdict]:
        """Look at all of ``invariants``; what is found is looked at again ``settle_seconds`` later.

        Where work in flight may put a finding right, that is waited for, ``wait_seconds`` at most.
        """
        verdicts = [self._first_look(invariant) for invariant in invariants]
        suspected = [verdict for verdict in verdicts if verdict.suspects]
        if suspected:
            self._sleep(settle_seconds)
        for verdict in suspected:
            self._look_again(verdict)
        self._wait(suspected, wait_seconds)
        return verdicts

    def _wait(self, verdicts: Sequence[Verdict], seconds: float) -> None:
        seen_at, give_up = datetime.now(UTC), time.monotonic() + seconds
        waiting = [verdict for verdict in verdicts if verdict.suspects and verdict.invariant.under_way]
        while waiting and time.monotonic() < give_up:
            before, seen_at = seen_at, datetime.now(UTC)
            waiting = [verdict for verdict in waiting if self._may_come_right(verdict, before)]
            if waiting:
                self._sleep(LOOK_AGAIN_SECONDS)

    def _may_come_right(self, verdict: Verdict, seen_at: datetime) -> bool:
        """Look again; whether something is left, and work from before the last look is under way or it has changed."""
        before, still = verdict.findings, not self._is_under_way(verdict, seen_at)
        self._look_again(verdict)
        return bool(verdict.suspects) and not (still and verdict.findings == before)

    def _first_look(self, invariant: Invariant) -> Verdict:
        verdict = Verdict(invariant=invariant)
        with acting_as(invariant.context):
            for check in invariant.checks:
                for place in check.places():
                    if place in self._away:
                        self._unasked(verdict, place, self._away[place])
                    else:
                        self._look_at(verdict, check, place)
        return verdict

    def _look_at(self, verdict: Verdict, check: Check[Any], place: str) -> None:
        try:
            for part in check.parts(place):
                found = list(check.look(part))
                verdict.checked += part.rows
                if found:
                    verdict.suspects.append(_Suspect(check=check, place=place, part=part, findings=found))
                self._told(verdict.invariant.name, place, part.rows)
        except Exception as error:
            self._unasked(verdict, place, _away(error))

    def _look_again(self, verdict: Verdict) -> None:
        """Keep what is found once more."""
        for suspect in verdict.suspects:
            before = {finding.ids for finding in suspect.findings}
            try:
                with acting_as(verdict.invariant.context):
                    suspect.findings = [f for f in suspect.check.look(suspect.part) if f.ids in before]
            except Exception as error:
                self._unasked(verdict, suspect.place, f"{_away(error)}; what was found there was not seen again")
                suspect.findings = []
            self._told(verdict.invariant.name, suspect.place, 0)
        verdict.suspects = [suspect for suspect in verdict.suspects if suspect.findings]

    def _is_under_way(self, verdict: Verdict, moment: datetime) -> bool:
        under_way = verdict.invariant.under_way
        try:
            with acting_as(verdict.invariant.context):
                return under_way is not None and under_way(moment)
        except Exception as error:
            _away(error)
            return False  # then nobody works there either, and the next look says who is away

    def _unasked(self, verdict: Verdict, place: str, reason: str) -> None:
        new = Unasked(place=place, reason=reason)
        if new not in verdict.unasked:
            verdict.unasked.append(new)


def _away(error: Exception) -> str:
    """Why somebody did not answer; who is asked next gets a new connection if the old one broke.

    Raises:
        Exception: The error itself, where it is a bug and no outage.
    """
    if not (is_away(error) or isinstance(error, ShardMapMissing)):
        raise error
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
    if isinstance(error, ContextError):
        return error.detail or error.code
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def by_name(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, list[Verdict]]]:
    """Verdicts of one name together: several contexts may declare parts of an invariant."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.invariant.name, []).append(verdict)
    yield from groups.items()
