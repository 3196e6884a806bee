"""The five things that can be done about events here. The audit has each of them before it begins."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Model, QuerySet

from shop.events.broker.parked import WhichParked, discard, take_again
from shop.events.looking_after import replay, requeue, skip
from shop.events.models import InboxEntry, OutboxEvent, ParkedMessage
from shop.events.which import Which
from shop.sharding import home_of, hosted_contexts
from shop.sharding.readiness import all_aliases
from shop.staff import audit
from shop.staff.events.choosing import Chosen, EventsForm, ParkedForm, SomeEventsForm
from shop.staff.models import StaffUser

MOST_ROWS: Final = 2_000
MOST_MESSAGES: Final = 20
"""A request takes some seconds for so many; each message has up to a hundred events. More is for `manage.py events`."""

type Rows = Iterator[tuple[str, QuerySet[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One of them.

    Attributes:
        name: Of its address, and of the command that does the same.
        title: What staff read on its button.
        meaning: What it does.
        form: Says which events.
        model: What its audit is about.
        rows: What it would change, by database.
        run: Does it to what is meant, for a reason, on behalf of somebody; returns what came of it.
        most: So many rows at once.
        needs_reason: It gives something up.
    """

    name: str
    title: str
    meaning: str
    form: type[EventsForm | ParkedForm]
    model: type[Model]
    rows: Callable[[Any], Rows]
    run: Callable[[Any, str, str], str]
    most: int = MOST_ROWS
    needs_reason: bool = False

    def count(self, chosen: Chosen) -> dict[str, int]:
        """Rows by database; of each no more are counted than are too many anyway."""
        found: dict[str, int] = {}
        for which in chosen:
            for alias, rows in self.rows(which):
                if number := rows[: self.most + 1].count():
                    found[alias] = found.get(alias, 0) + number
        return found

    def carry_out(self, chosen: Chosen, reason: str, user: StaffUser) -> str:
        """Do it; the audit has who, which, why, and what came of it."""
        outcomes = []
        for which in chosen:
            why = f"; reason: {reason}" if reason else ""
            entry = audit.begin(user, self.model, f"{self.title}: {which}", f"{self.name}: {which}{why}")
            outcomes.append(self.run(which, reason, f"staff {user.pk}"))
            audit.finish(entry, outcomes[-1])
        return "; ".join(outcomes)


def _of_events(*finds: Callable[[Which, str], QuerySet[Any]]) -> Callable[[Which], Rows]:
    return lambda which: ((alias, find(which, alias)) for find in finds for alias in all_aliases())


def _of_parked(which: WhichParked) -> Rows:
    return ((home_of(context), which.at(context)) for context in hosted_contexts())


def _take(which: WhichParked, _: str, by: str) -> str:
    taken, left = take_again(which, by=by)
    return f"{taken} taken" + (f", {left} still not believed or of a topic unknown here" if left else "")


ACTS: Final = {
    act.name: act
    for act in (
        Act(
            name="requeue",
            title="Try again",
            meaning="What is dead, or waits for another try, is tried at once, with five attempts more.",
            form=EventsForm,
            model=InboxEntry,
            rows=_of_events(Which.failed),
            run=lambda which, _, by: f"{requeue(which, by=by)} requeued",
        ),
        Act(
            name="skip",
            title="Give up",
            meaning="What is dead, waits for another try or is not handed over yet will never be handled; later events "
            "of the same thing go on. With a handler named, it is given up there only.",
            form=SomeEventsForm,
            model=InboxEntry,
            rows=_of_events(Which.failed, Which.pending),
            run=lambda which, reason, by: f"{skip(which, reason, by=by)} skipped",
            needs_reason=True,
        ),
        Act(
            name="replay",
            title="Hand over again",
            meaning="What was handed over is handed over once more: who has done with it ignores it, a new handler "
            "gets it. With a handler named, that one handles it again, whatever it has done.",
            form=SomeEventsForm,
            model=OutboxEvent,
            rows=_of_events(Which.replayable),
            run=lambda which, _, by: f"{replay(which, by=by)} replayed",
        ),
        Act(
            name="take",
            title="Take after all",
            meaning="Parked messages are handed to the handlers that know their topic by now, however old they are. "
            "What is not signed by this shop stays parked.",
            form=ParkedForm,
            model=ParkedMessage,
            rows=_of_parked,
            run=_take,
            most=MOST_MESSAGES,
        ),
        Act(
            name="discard",
            title="Throw away",
            meaning="Parked messages are deleted, and what is in them is lost.",
            form=ParkedForm,
            model=ParkedMessage,
            rows=_of_parked,
            run=lambda which, reason, by: f"{discard(which, reason, by=by)} discarded",
            needs_reason=True,
        ),
    )
}
