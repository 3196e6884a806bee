"""What an action is about: rows that were ticked in a list, or all that is so."""

import string
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, override

from django import forms
from django.core.exceptions import ValidationError

from shop.events.broker.parked import WhichParked
from shop.events.looking_after import REASON_LETTERS
from shop.events.which import Which, event_id, moment

MOST_ROWS: Final = 200
NAME_LETTERS: Final = 120
DIGEST_LETTERS: Final = 64

type Chosen = Sequence[Which | WhichParked]


class TickedField(forms.Field):
    """Rows of a list, each as ``ID name``; a name tells apart what lies in tables that contexts share."""

    widget = forms.MultipleHiddenInput

    @override
    def clean(self, value: Any) -> dict[str, list[int]]:
        """Their IDs by the names."""
        _at_most(value or ())
        found: defaultdict[str, list[int]] = defaultdict(list)
        for row in value or ():
            number, _, name = row.partition(" ")
            found[name].append(_event_id(number))
            if not (1 <= len(name) <= NAME_LETTERS and name.isprintable()):
                raise ValidationError("A row has no name.")
        return found


class MomentField(forms.DateTimeField):
    """A moment that a database can be asked for."""

    @override
    def clean(self, value: Any) -> Any:
        found = super().clean(value)
        try:
            return found and moment(found)
        except ValueError as error:
            raise ValidationError("%(reason)s.", params={"reason": error}) from error


class EventsForm(forms.Form):
    """Which events. Ticked rows count alone; nothing does not mean all there is."""

    enough = frozenset({"entry", "event", "events", "topic", "handler", "since", "until"})

    entry = TickedField(required=False)
    event = TickedField(required=False)
    events = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
        help_text=f"IDs, as numbers, with spaces between; {MOST_ROWS} at most.",
    )
    topic = forms.CharField(required=False, max_length=NAME_LETTERS, help_text="ordering.order_placed.v1")
    handler = forms.CharField(
        required=False, max_length=NAME_LETTERS, help_text="ordering.commit_stock_on_order_placed"
    )
    since = MomentField(required=False, help_text="Published then or later: 2026-11-01T00:00Z")
    until = MomentField(required=False, help_text="Published before.")

    def clean_events(self) -> tuple[int, ...]:
        """As numbers."""
        words = self.cleaned_data["events"].split()
        _at_most(words)
        return tuple(_event_id(word) for word in words)

    @override
    def clean(self) -> dict[str, Any]:
        told = super().clean() or self.cleaned_data
        if not self.errors and not any(told[name] for name in self.enough):
            raise ValidationError("Say which: tick rows, or narrow it down here.")
        return told

    def chosen(self) -> Chosen:
        """What is meant; the form is valid."""
        told = self.cleaned_data
        if told["entry"] or told["event"]:
            return [
                *(Which(handler=name, events=ids) for name, ids in told["entry"].items()),
                *(Which(topic=name, events=ids) for name, ids in told["event"].items()),
            ]
        return [Which(**{name: told[name] for name in ("events", "topic", "handler", "since", "until")})]


class SomeEventsForm(EventsForm):
    """As `EventsForm`, where a handler's name alone is not enough."""

    enough = EventsForm.enough - {"handler"}


class ParkedForm(forms.Form):
    """Which parked messages. Ticked rows count alone."""

    message = forms.Field(required=False, widget=forms.MultipleHiddenInput)
    topic = forms.CharField(required=False, max_length=NAME_LETTERS, help_text="ordering.order_placed.v1")
    parked_for = forms.CharField(required=False, max_length=REASON_LETTERS, help_text="too old")

    def clean_message(self) -> tuple[str, ...]:
        """Their digests."""
        ticked = self.cleaned_data["message"] or ()
        _at_most(ticked)
        if any(len(each) != DIGEST_LETTERS or set(each) - set(string.hexdigits) for each in ticked):
            raise ValidationError("That is no message's digest.")
        return tuple(ticked)

    @override
    def clean(self) -> dict[str, Any]:
        told = super().clean() or self.cleaned_data
        if not self.errors and not any(told.values()):
            raise ValidationError("Say which: tick rows, or narrow it down here.")
        return told

    def chosen(self) -> Chosen:
        """What is meant; the form is valid."""
        told = self.cleaned_data
        if told["message"]:
            return [WhichParked(messages=told["message"])]
        return [WhichParked(topic=told["topic"], reason=told["parked_for"])]


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(max_length=REASON_LETTERS, widget=forms.TextInput(attrs={"size": 80}))


def _event_id(text: str) -> int:
    try:
        return event_id(text)
    except ValueError as error:
        raise ValidationError("%(reason)s.", params={"reason": error}) from error


def _at_most(rows: Sequence[str]) -> None:
    if len(rows) > MOST_ROWS:
        raise ValidationError("%(n)s at most at once.", params={"n": MOST_ROWS})
