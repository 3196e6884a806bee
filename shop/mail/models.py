"""Mails that wait, went out or could not, in the bucket of what each is about."""

from django.db import models
from django.db.models import Q

from shop.sharding.models import PlacedModel


class Mail(PlacedModel):
    """One mail to one reader. Who that is, and what it says, is nowhere stored: its letter is written at each try.

    Attributes:
        kind: ``<context>.<letter>``.
        origin: What caused it: an event, or the row itself. One cause makes one mail of a kind about one thing.
        about: ID of what the letter is written from.
        facts: What the letter needs besides and nobody could find out later; nothing personal. Empty once it has ended.
        due_at: When it is tried next, which is also how long whoever tries it now has for that; null: it has ended.
        give_up_at: When nobody wants it any more.
        ended_at: When it was taken by the mail server, or given up.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        DEAD = "dead"

    kind = models.CharField(max_length=80)
    origin = models.CharField(max_length=140)
    about = models.BigIntegerField()
    facts = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    give_up_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("kind", "origin", "about"), name="shop_mail_once"),)
        indexes = (
            models.Index(fields=("due_at", "id"), condition=Q(due_at__isnull=False), name="shop_mail_due"),
            models.Index(fields=("ended_at", "id"), condition=Q(ended_at__isnull=False), name="shop_mail_ended"),
            models.Index(fields=("state",), condition=Q(state="dead"), name="shop_mail_dead"),
        )
