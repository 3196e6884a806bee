"""All checks, in an order in which what is found first explains what is found later."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from shop.sharding.commands.asking import ask_each
from shop.sharding.commands.doctor.databases import Examined, examine_database
from shop.sharding.commands.doctor.maps import check_home, check_map
from shop.sharding.commands.doctor.processes import check_budget, check_processes, told_of_leases
from shop.sharding.commands.doctor.words import Finding
from shop.sharding.databases import aliases_of, context_of_alias, home_of
from shop.sharding.stored_map import stored_map


def examine(contexts: Sequence[str]) -> dict[str, Any]:
    """The report, as JSON has it. Database: all of these contexts."""
    answers = ask_each([alias for context in contexts for alias in aliases_of(context)], examine_database)
    findings = [finding for examined in answers.given.values() for finding in examined.findings]
    missing, notes = dict(answers.missing), []
    fit = [context for context in contexts if _is_fit(answers.given.get(home_of(context)))]
    homes = ask_each([home_of(context) for context in fit], lambda home: _examine_home(home, answers.given))
    for found, note in homes.given.values():
        findings += found
        notes.append(note)
    missing |= homes.missing
    return {
        "well": not findings and not missing,
        "complete": not missing,
        "findings": [{"check": each.check, "place": each.place, "what": each.what, "do": each.do} for each in findings],
        "unasked": [{"database": alias, "reason": reason} for alias, reason in missing.items()],
        "notes": notes,
    }


def _is_fit(examined: Examined | None) -> bool:
    return examined is not None and examined.slices is not None and examined.slices.introduced


def _examine_home(home: str, examined: dict[str, Examined]) -> tuple[list[Finding], str]:
    context = context_of_alias(home)
    slices = {a: examined[a].slices for a in aliases_of(context) if a in examined}
    known = {alias: each for alias, each in slices.items() if each is not None}
    found = [*check_map(stored_map(context), known), *check_home(context), *check_processes(context)]
    if each := getattr(settings, "DATABASE_CONNECTIONS", None):  # not every process knows a budget
        found += check_budget(context, slices, connections_each=each)
    return found, told_of_leases(context)
