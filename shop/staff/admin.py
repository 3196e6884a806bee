"""Screens of the kernel's own tables, and of staff accounts."""

from django.contrib import admin
from django.contrib.admin.models import LogEntry

from shop.events.models import Duty, ForgottenEvents, InboxEntry, OutboxEvent, ParkedMessage
from shop.http.models import IdempotencyClaim
from shop.mail.models import Mail
from shop.services.models import Outcome
from shop.sharding.models import (
    DatabaseIdentity,
    Shard,
    ShardEpoch,
    ShardMapEntry,
    ShardSlice,
    UniqueTarget,
    UniqueValue,
    WorkerLease,
)
from shop.staff.account_screen import StaffUserAdmin
from shop.staff.models import StaffUser
from shop.staff.screens import replace_editable_screens, show
from shop.staff.sign_in import SignInForm

admin.site.site_header = admin.site.site_title = "Shop"
admin.site.index_title = "Staff"

admin.site.login_form = SignInForm
replace_editable_screens()
admin.site.register(StaffUser, StaffUserAdmin)
show(DatabaseIdentity, "context", "alias", "created_at")
show(ShardSlice, "hi", "owned", "epoch")
show(UniqueValue, "kind", "state", "reserved_at", hidden=("value",))
show(UniqueTarget, "void")
show(Shard, "created_at")
show(ShardMapEntry, "hi", "alias", "epoch")
show(ShardEpoch, "epoch")
show(WorkerLease, "high_ms", "expires_at", hidden=("token",))
show(LogEntry, "action_time", "user", "object_repr")
# What events say is some of it personal data, and none of it is needed to look after them.
show(OutboxEvent, "topic", "key", "event_seq", "state", "created_at", hidden=("payload",))
show(InboxEntry, "handler", "key", "event_seq", "state", "attempts", "reason", hidden=("envelope",))
show(ForgottenEvents, "aggregate", "key", "event_seq")
show(ParkedMessage, "topic", "reason", "created_at", hidden=("message",))
show(Mail, "kind", "about", "state", "attempts", "reason", "created_at", "due_at", "ended_at")
show(Duty, "until", hidden=("token",))
show(Outcome, "caller", "method", "key", "created_at")
show(IdempotencyClaim, "principal", "state", "status", "created_at", hidden=("body", "headers"))
