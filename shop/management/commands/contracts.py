"""`manage.py contracts`: what contexts promise each other, held against what is written down."""

import argparse
import json
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from shop.services.contracts.comparing import breaks
from shop.services.contracts.describing import described
from shop.services.contracts.finding import Contract
from shop.services.contracts.storing import BadSnapshot, stored, text_of

EXAMPLES: Final = """
examples:
  manage.py contracts check              before a merge: does anything break who knows the snapshot
  manage.py contracts write              after something was added: the snapshots anew
  manage.py contracts write catalog --accept-breaks   when nobody runs what knows the old contract any more

exit codes: 0 snapshots are what the contracts say; 1 something breaks, or a snapshot is behind; 2 one can't be read
"""
BEHIND: Final = "what was added is not in the snapshot: `manage.py contracts write`"


class Command(BaseCommand):
    """A line for each finding, or one JSON object."""

    help = "Hold the contracts of the hosted contexts against their snapshots, contract.json beside each contract."
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """With examples as they are written."""
        kept = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **{**options, **kept})

    def add_arguments(self, parser: CommandParser) -> None:
        """``check``, or ``write``."""
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        checks = commands.add_parser("check", help="say what breaks, and what is not written down")
        writes = commands.add_parser("write", help="write the snapshots; what breaks somebody is refused")
        for each in (checks, writes):
            each.add_argument("contexts", nargs="*", metavar="CONTEXT", help="all that are hosted here, if none")
            each.add_argument("--json", action="store_true", help="one JSON object")
        writes.add_argument("--accept-breaks", action="store_true", help="write it although it breaks somebody")
        writes.add_argument("--dry-run", action="store_true", help="only say what would be written")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look at each context, then tell, then write."""
        contexts = options["contexts"] or settings.CONTEXTS
        if unknown := sorted(set(contexts) - set(settings.CONTEXTS)):
            raise CommandError(f"not hosted here: {', '.join(unknown)}", returncode=2)
        contracts = [Contract.of(context) for context in contexts]
        writing = options["command"] == "write"
        try:
            found = {each.context: _compared(each, may_be_missing=writing) for each in contracts}
        except BadSnapshot as bad:
            raise CommandError(str(bad), returncode=2) from bad
        written = self._write(contracts, found, options) if writing else []
        self._tell(found, written, options)
        broken = any(each["breaks"] for each in found.values()) and not options.get("accept_breaks")
        behind = any(each["behind"] for each in found.values()) and not writing
        if broken or behind:
            raise SystemExit(1)

    def _write(self, contracts: list[Contract], found: dict[str, Any], options: dict[str, Any]) -> list[str]:
        """Write what may be written; returns the contexts."""
        refused = any(each["breaks"] for each in found.values()) and not options["accept_breaks"]
        changed = [] if refused else [each for each in contracts if found[each.context]["behind"]]
        for contract in changed:
            if not options["dry_run"]:
                contract.path.write_text(text_of(described(contract)))
        return [each.context for each in changed]

    def _tell(self, found: dict[str, Any], written: list[str], options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps({"contexts": found, "written": written}, indent=1))
            return
        for context, each in found.items():
            for what in each["breaks"]:
                self.stdout.write(self.style.ERROR(f"{context}: {what}"))
            if context in written:
                self.stdout.write(f"{context}: {'would be written' if options['dry_run'] else 'written'}")
            elif each["behind"] and not each["breaks"]:
                self.stdout.write(self.style.WARNING(f"{context}: {BEHIND}"))
            elif not each["behind"]:
                self.stdout.write(f"{context}: ok")


def _compared(contract: Contract, *, may_be_missing: bool) -> dict[str, Any]:
    """``breaks``: sentences; ``behind``: whether the file differs from the contract."""
    now = described(contract)
    if may_be_missing and not contract.path.exists():
        return {"breaks": [], "behind": True}
    then = stored(contract.path)
    return {"breaks": breaks(then, now), "behind": text_of(now) != contract.path.read_text()}
