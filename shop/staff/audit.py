"""What staff did, for ever: Django's own log of the admin, which its history pages and the list of log entries show."""

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from shop.staff.models import StaffUser


def begin(user: StaffUser, model: type[Model], what: str, details: str) -> LogEntry:
    """Write down what somebody is about to do, before it is done: who breaks off in the middle is in the log.

    Args:
        user: Who.
        model: Of what.
        what: In a few words.
        details: Which rows, why. No personal data: nobody deletes it.
    """
    return LogEntry.objects.create(
        user_id=user.pk,
        content_type_id=ContentType.objects.get_for_model(model).pk,
        object_repr=what[:200],
        action_flag=CHANGE,
        change_message=f"{details}; begun",
    )


def finish(entry: LogEntry, outcome: str) -> None:
    """Write down what came of it."""
    entry.change_message = f"{entry.change_message.removesuffix('begun')}{outcome}"
    entry.save(update_fields=("change_message",))
