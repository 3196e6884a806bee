"""The pages: all who hold a role see what stands, superusers do something about it, in two steps."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Concatenate, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from shop.events.standing import status
from shop.staff.events.acts import ACTS, Act
from shop.staff.events.choosing import EventsForm, ParkedForm, ReasonForm
from shop.staff.events.lists import LISTS
from shop.staff.models import StaffUser
from shop.staff.screens import holds_a_role

SECTIONS: Final = {
    "failed": ("Failed at a handler", "inbox"),
    "published": ("Not handed over yet", "outbox"),
    "parked": ("Parked messages", "parked"),
}
"""By the list that has them row by row, what the status counts, and what it calls it."""


def _for_staff[**P](
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Behind the admin's sign-in; an account without a role sees nothing."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **options: P.kwargs) -> HttpResponse:
        if not holds_a_role(request):
            raise PermissionDenied
        return view(request, *args, **options)

    return admin.site.admin_view(guarded)  # type: ignore[return-value]  # typed for views without arguments


@_for_staff
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """What waits, what has failed and why, what is parked. Database: all; one that does not answer is named."""
    found = status()
    sections = [_section(name, title, found[rows]) for name, (title, rows) in SECTIONS.items()]
    told = {"unasked": found["unasked"], "unknown_handlers": found["unknown_handlers"]}
    return _page(request, "overview", {"title": "Events", "acts": ACTS.values(), "sections": sections, **told})


def _section(name: str, title: str, counted: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What is counted, with the way to the list that has it row by row, and to what can be done about all of it."""
    listed = LISTS[name]
    rows = []
    for row in counted:
        meant = {"handler": row.get("handler"), "topic": row.get("topic")}
        meant |= {"parked_for": row["reason"]} if name == "parked" else {}
        rows.append({"cells": row.values(), "query": _query(row, listed.filters), "meant": _query(meant, meant)})
    acts = [ACTS[each] for each in listed.acts]
    columns = [*counted[0]] if counted else []
    return {"name": name, "title": title, "columns": columns, "rows": rows, "acts": acts}


def _query(told: Mapping[str, Any], names: Iterable[str]) -> str:
    return urlencode({name: told[name] for name in names if told.get(name)})


@_for_staff
@require_safe
def listing(request: HttpRequest, name: str) -> HttpResponse:
    """Rows, to be ticked."""
    if name not in LISTS:
        raise Http404
    chosen = LISTS[name]
    page, rows = chosen.page(request.GET)
    acts = [ACTS[each] for each in chosen.acts]
    return _page(request, "list", {"title": chosen.title, "list": chosen, "page": page, "rows": rows, "acts": acts})


@_for_staff
@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, name: str) -> HttpResponse:
    """Say which, see how many that is, say why, and have it done."""
    if name not in ACTS:
        raise Http404
    user, wanted = request.user, ACTS[name]
    if not isinstance(user, StaffUser) or not may_act(user):
        raise PermissionDenied
    form = wanted.form(request.POST) if request.method == "POST" else wanted.form(initial=request.GET.dict())
    if not form.is_bound or not form.is_valid():
        return _ask(request, wanted, form)
    counts = wanted.count(form.chosen())
    if not 0 < sum(counts.values()) <= wanted.most:
        form.add_error(
            None, f"More than {wanted.most}: narrow it down." if counts else "Nothing is like that any more."
        )
        return _ask(request, wanted, form)
    why = ReasonForm(request.POST if "confirmed" in request.POST else None)
    if "confirmed" not in request.POST or (wanted.needs_reason and not why.is_valid()):
        return _confirm(request, wanted, counts, why)
    reason = why.cleaned_data["reason"] if wanted.needs_reason else ""
    messages.success(request, f"{wanted.title}: {wanted.carry_out(form.chosen(), reason, user)}.")
    return redirect("events:overview")


def may_act(user: StaffUser) -> bool:
    """Whether an account may do something about events: it changes what customers get, in every context."""
    return user.is_active and user.is_superuser


def _ask(request: HttpRequest, wanted: Act, form: EventsForm | ParkedForm) -> HttpResponse:
    status_code = 400 if form.is_bound else 200
    return _page(request, "choose", {"title": wanted.title, "act": wanted, "form": form}, status=status_code)


def _confirm(request: HttpRequest, wanted: Act, counts: dict[str, int], why: ReasonForm) -> HttpResponse:
    sent = [(name, value) for name in wanted.form.base_fields for value in request.POST.getlist(name) if value]
    shown = {"act": wanted, "counts": counts, "total": sum(counts.values()), "sent": sent, "why": why}
    return _page(request, "confirm", {"title": f"{wanted.title}?", **shown})


def _page(request: HttpRequest, name: str, shown: dict[str, Any], *, status: int = 200) -> HttpResponse:
    user = request.user
    here = {"may_act": isinstance(user, StaffUser) and may_act(user)}
    context = {**admin.site.each_context(request), **here, **shown}
    return render(request, f"shop/events/{name}.html", context, status=status)
