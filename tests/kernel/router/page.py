"""The page `docs/router.md`, made of the cases that the tests prove."""

from pathlib import Path

from tests.kernel.router.cases import Case, Group
from tests.kernel.router.combining import ACROSS, RELATED, SUBQUERIES
from tests.kernel.router.instances import ASYNC, INSTANCES
from tests.kernel.router.left_out import LEFT_OUT
from tests.kernel.router.reading import BY_KEY, KEYLESS, SHAPES
from tests.kernel.router.writing import REFUSED_WRITES, WRITES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "router.md"
GROUPS = (BY_KEY, SHAPES, KEYLESS, SUBQUERIES, RELATED, ACROSS, WRITES, REFUSED_WRITES, INSTANCES, ASYNC)
INTRODUCTION = """# What the router does

A sharded model's row lies on the shard that owns the bucket of its ID ([where rows live](architecture.md#where-rows-live)).
Whatever Django's ORM can say about such a model is answered by that shard or refused with an error that says what to do:
never by another shard, never in part, and no row comes back that is gone. Reads name a key, or ask `.across()` all shards;
writes stand inside `shard_atomic(context, key)`. These errors are bugs of the caller; no client ever sees their text.

`tests/kernel/test_router_table.py` proves every row here on SQLite and PostgreSQL, on either of two shards that both hold
copies of the other's rows, as while a slice moves. The page is made of those cases, and a test fails when it is not
what they say; `REWRITE_DOCS=1` before that test's run writes it anew.

In the examples `tea` and `far` are parcels on two shards. Tea has the items `cup` and `pot`, the note `slip` and the sticker
`red`; `here` and `there` are tea's database and far's; `stale` is tea as it was read from the copy `there`. `new_id(tea)`
stands for `new_id(context, near=tea.pk)`, `moved(tea)` for a map that gives tea's bucket to `there`.
"""


def text() -> str:
    """The whole page."""
    parts = [INTRODUCTION, *(_table(group) for group in GROUPS), _left_out()]
    return "\n".join(parts)


def _table(group: Group) -> str:
    rows = "\n".join(_row(case) for case in group.cases)
    return f"## {group.title}\n\n{group.text}\n\n| case | what one writes | outcome |\n|---|---|---|\n{rows}\n"


def _row(case: Case) -> str:
    lines = [line for line in case.code.splitlines() if not line.startswith("assert ")]
    code = "<br>".join(f"`{_indented(line)}`" for line in lines)
    where = f" (in {case.inside})" if case.refused and case.inside != "nowhere" else ""
    return "| " + " | ".join(part.replace("|", "\\|") for part in (case.title + where, code, case.outcome)) + " |"


def _indented(line: str) -> str:
    inner = line.lstrip(" ")
    return "\u2003" * ((len(line) - len(inner)) // 4) + inner


def _left_out() -> str:
    rows = "\n".join(f"| `{name}` | {why} |" for name, why in sorted(LEFT_OUT.items()))
    return f"## Methods without a case\n\nOf everything public that querysets, managers and models have.\n\n| method | why |\n|---|---|\n{rows}\n"
