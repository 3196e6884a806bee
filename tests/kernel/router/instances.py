"""Cases: instances that are older than what is stored, and async code."""

from tests.kernel.router.cases import Case, Group, read, refusal, write

SCOPE = "outside `shard_atomic`"


def anywhere(title: str, code: str, then: str, *, note: str = "") -> Case:
    """It opens its own transactions, maybe after a move."""
    return Case(title=title, code=code, then=then, note=note, moves="moved(" in code)


INSTANCES = Group(
    title="Instances and querysets older than what is stored",
    text="Where an instance was read says nothing: `_state.db` is never trusted, and what is gone is not made again.",
    cases=(
        write("`save` of a row read elsewhere", "stale.label = 'x'\nstale.save()", "row(Parcel, tea.pk).label == 'x'"),
        write("`delete` of a row read elsewhere", "stale.delete()", "row(Parcel, tea.pk) is None"),
        write(
            "a pickled or copied instance",
            "again = copy.copy(pickle.loads(pickle.dumps(stale)))\nagain.label = 'x'\nagain.save()",
            "row(Parcel, tea.pk).label == 'x'",
        ),
        write(
            "… with columns not read",
            "late = Parcel.objects.using(there).only('weight').get(pk=tea.pk)\nlate.weight = 7\nlate.save()",
            "(row(Parcel, tea.pk).label, row(Parcel, tea.pk).weight) == ('tea', 7)",
            note="only what was read is written",
        ),
        read(
            "what belongs to a row read elsewhere", "[*stale.items.filter(name='cup'), stale.items.count()]", "[cup, 2]"
        ),
        read("a column that was not read", "Parcel.objects.using(there).only('weight').get(pk=tea.pk).label", "'tea'"),
        read(
            "columns of many rows that were not read",
            "rows = [*Item.objects.using(there).filter(parcel=tea).only('parcel').fetch_mode(FETCH_PEERS)]\nsorted(row.name for row in rows)",
            "['cup', 'pot']",
            note="at their owner, for all of them at once",
        ),
        read(
            "`get_next_by_…` within a key",
            "before = Parcel(id=tea.pk - 1, sent_at='2000-01-01T00:00Z')\nbefore.get_next_by_sent_at(owner_id=tea.owner_id)",
            "tea",
        ),
        refusal(
            "`get_next_by_…`, `get_previous_by_…`",
            "tea.get_next_by_sent_at() or tea.get_previous_by_sent_at()",
            "ShardKeyMissing",
            "use `.on(key)` or `.across()`",
            note="the next one may lie on any shard",
        ),
        refusal(
            "a related manager's `add` of a row read elsewhere",
            "tea.notes.add(Note.objects.using(there).get(pk=slip.pk))",
            "ValueError",
            "Use bulk=False",
            inside="tea's shard",
        ),
        refusal(
            "`refresh_from_db(from_queryset=)` on another database",
            "tea.refresh_from_db(from_queryset=Parcel.objects.using(there))",
            "MixedShards",
            "it can't be read on",
        ),
        refusal(
            "`save` of a row that is gone",
            "Parcel.objects.filter(pk=tea.pk).delete()\nstale.save()",
            "NotUpdated",
            "did not affect any rows",
            inside="tea's shard",
            note="read it again, or make a new one",
        ),
        refusal(
            "`refresh_from_db` of a row that is gone",
            "Parcel.objects.filter(pk=tea.pk).delete()\nstale.refresh_from_db()",
            "DoesNotExist",
            "does not exist",
            inside="tea's shard",
        ),
        write(
            "a copy under a new ID",
            "new = copy.copy(cup)\nnew.pk, new._state.adding = new_id(tea), True\nnew.save()",
            "tea.items.count() == 3",
        ),
        Case(
            title="a queryset made before a move",
            code="rows, across = Parcel.objects.on(tea.pk), Parcel.objects.filter(pk=tea.pk).across()\nmoved(tea)\n[row._state.db for row in (*rows, *across.rows())]",
            gives="[there, there]",
            note="asks the new owner",
            moves=True,
        ),
        anywhere(
            "an instance read before a move",
            "moved(tea)\nwith shard_atomic(CONTEXT, tea.pk):\n    tea.label = 'x'\n    tea.save()",
            "[Parcel.objects.using(alias).get(pk=tea.pk).label for alias in (here, there)] == ['tea', 'x']",
            note="is written at the new owner",
        ),
    ),
)

ASYNC = Group(
    title="From async code",
    text="The async methods run the others in a thread, with the caller's transaction: the same rules, case by case.",
    cases=(
        read(
            "one row",
            "[await Parcel.objects.aget(pk=tea.pk), await Parcel.objects.filter(pk=tea.pk).afirst(), await Item.objects.filter(parcel=tea).order_by('name').alast()]",
            "[tea, tea, pot]",
        ),
        read(
            "rows",
            "[[row async for row in Item.objects.filter(pk=cup.pk)], [row async for row in Item.objects.filter(pk=pot.pk).aiterator()]]",
            "[[cup], [pot]]",
        ),
        read(
            "figures",
            "rows = Item.objects.filter(parcel=tea)\n[await rows.acount(), await rows.aexists(), await rows.acontains(cup), await rows.aaggregate(n=Count('pk'))]",
            "[2, True, True, {'n': 2}]",
        ),
        read(
            "`aearliest`, `alatest`, `ain_bulk`",
            "rows = Item.objects.filter(parcel=tea)\n[await rows.aearliest('name'), await rows.alatest('name'), await rows.ain_bulk([cup.pk])]",
            "[cup, pot, {cup.pk: cup}]",
        ),
        read("`aexplain`", "bool(await Parcel.objects.filter(pk=tea.pk).aexplain())", "True"),
        refusal("without a key", "await Parcel.objects.acount()", "ShardKeyMissing", "use `.on(key)` or `.across()`"),
        write(
            "`acreate`, `abulk_create`",
            "await Item.objects.acreate(id=new_id(tea), parcel=tea)\nawait Item.objects.abulk_create([Item(id=new_id(tea), parcel=tea)])",
            "tea.items.count() == 4",
        ),
        write(
            "`aget_or_create`, `aupdate_or_create`",
            "await Note.objects.aget_or_create(parcel=tea, text='a', defaults={'id': new_id(tea)})\nawait Note.objects.aupdate_or_create(parcel=tea, text='a', defaults={'text': 'b'})",
            "tea.notes.filter(text='b').exists()",
        ),
        write(
            "`aupdate`, `abulk_update`",
            "await Item.objects.filter(parcel=tea).aupdate(name='x')\ncup.name = 'y'\nawait Item.objects.abulk_update([cup], ['name'])",
            "row(Item, cup.pk).name == 'y' and row(Item, pot.pk).name == 'x'",
        ),
        write(
            "`adelete`", "await Item.objects.filter(pk=cup.pk).adelete()\nawait pot.adelete()", "tea.items.count() == 0"
        ),
        write(
            "`asave`, `arefresh_from_db`",
            "stale.label = 'x'\nawait stale.asave()\nawait tea.arefresh_from_db()\nassert tea.label == 'x'",
            "row(Parcel, tea.pk).label == 'x'",
        ),
        refusal(
            "without a transaction",
            "await Item.objects.acreate(id=new_id(tea), parcel=tea)",
            "ShardScopeMissing",
            SCOPE,
        ),
        refusal(
            "in another shard's transaction",
            "await tea.adelete()",
            "ShardScopeMissing",
            "does not belong to",
            inside="far's shard",
        ),
    ),
)
