"""Cases: writing."""

from tests.kernel.router.cases import Group, refusal, write

SCOPE = "outside `shard_atomic`"
KEY = "filter by a key or use `.on(key)`"
BUCKET = "the row can't leave its bucket"


WRITES = Group(
    title="Writes",
    text="Inside `shard_atomic(context, tea.pk)`, which binds the transaction, its savepoints and its `on_commit` to tea's shard.",
    cases=(
        write(
            "`create`",
            "new = Parcel.objects.create(id=new_id(tea), owner_id=tea.pk, label='new')",
            "Parcel.objects.on(tea.pk).filter(label='new').count() == 1",
        ),
        write(
            "`save` of a new row",
            "Parcel(id=new_id(tea), owner_id=tea.pk, label='new').save()",
            "Parcel.objects.on(tea.pk).filter(label='new').count() == 1",
        ),
        write(
            "`save(force_insert=True)`",
            "Item(id=new_id(tea), parcel=tea, name='lid').save(force_insert=True)",
            "tea.items.filter(name='lid').exists()",
        ),
        write(
            "`save`, `save(update_fields=)`",
            "tea.label = 'x'\ntea.save()\ntea.weight = 9\ntea.save(update_fields=['weight'])",
            "(row(Parcel, tea.pk).label, row(Parcel, tea.pk).weight) == ('x', 9)",
        ),
        write(
            "`bulk_create`",
            "Item.objects.bulk_create([Item(id=new_id(tea), parcel=tea, name=str(n)) for n in range(3)])",
            "tea.items.count() == 5",
        ),
        write(
            "`bulk_create(ignore_conflicts=True)`",
            "Note.objects.bulk_create([Note(id=new_id(tea), parcel=tea, text=slip.text)], ignore_conflicts=True)",
            "tea.notes.count() == 1",
        ),
        write(
            "`bulk_create(update_conflicts=True)`",
            "Note.objects.bulk_create([Note(id=new_id(tea), parcel=tea, text=slip.text, serial=3)], update_conflicts=True, unique_fields=['parcel', 'text'], update_fields=['serial'])",
            "row(Note, slip.pk).serial == 3",
        ),
        write(
            "`bulk_update`",
            "cup.name = 'mug'\nItem.objects.bulk_update([cup, pot], ['name'])",
            "row(Item, cup.pk).name == 'mug'",
        ),
        write(
            "`get_or_create`",
            "found = [Note.objects.get_or_create(parcel=tea, text=text, defaults={'id': new_id(tea)})[1] for text in (slip.text, 'new')]",
            "tea.notes.count() == 2",
        ),
        write(
            "`update_or_create`",
            "Note.objects.update_or_create(parcel=tea, text=slip.text, defaults={'serial': 4}, create_defaults={'id': new_id(tea)})",
            "row(Note, slip.pk).serial == 4",
        ),
        write(
            "`update`",
            "Parcel.objects.filter(pk=tea.pk).update(label=Upper('label'), weight=F('weight') + 1)",
            "row(Parcel, tea.pk).label == 'TEA'",
        ),
        write(
            "`update` within a bucket",
            "Item.objects.on(tea.pk).update(name='x')",
            "tea.items.filter(name='x').count() == 2",
        ),
        write(
            "`update` by a bound subquery",
            "Parcel.objects.filter(pk=tea.pk).update(label=Subquery(Item.objects.filter(parcel=OuterRef('pk')).order_by('name').values('name')[:1]))",
            "row(Parcel, tea.pk).label == 'cup'",
        ),
        write(
            "`delete` of a queryset",
            "Parcel.objects.filter(pk=tea.pk).delete()",
            "row(Parcel, tea.pk) is None and row(Item, cup.pk) is None and row(Note, slip.pk).parcel_id is None",
            note="its parts go along, as their `on_delete` says",
        ),
        write("`delete` of an instance", "cup.delete()", "row(Item, cup.pk) is None"),
        write(
            "under `select_for_update`",
            "locked = Parcel.objects.select_for_update().get(pk=tea.pk)\nlocked.label = 'x'\nlocked.save()",
            "row(Parcel, tea.pk).label == 'x'",
        ),
        write(
            "`refresh_from_db`",
            "Parcel.objects.filter(pk=tea.pk).update(label='x')\nstale.refresh_from_db()\nassert stale.label == 'x'",
            "row(Parcel, tea.pk).label == 'x'",
            note="wherever the instance was read",
        ),
        write(
            "`full_clean` of a row unique by its key",
            "Note(id=new_id(tea), parcel=tea, text='new').full_clean(exclude=['serial'])",
            "True",
        ),
        write(
            "a related manager's `create`, `get_or_create`, `update_or_create`",
            "tea.items.create(id=new_id(tea), name='a')\ntea.items.get_or_create(name='b', defaults={'id': new_id(tea)})\ntea.items.update_or_create(name='b', defaults={'name': 'c'}, create_defaults={})",
            "sorted(tea.items.values_list('name', flat=True)) == ['a', 'c', 'cup', 'pot']",
        ),
        write(
            "a related manager's `add`",
            "loose = Note.objects.create(id=new_id(tea), text='loose')\ntea.notes.add(loose)\ntea.notes.add(Note(id=new_id(tea), text='new'), bulk=False)",
            "tea.notes.count() == 3",
        ),
        write(
            "a related manager's `set`, `remove`, `clear`",
            "tea.notes.set([])\ntea.notes.add(slip)\ntea.notes.remove(slip)\ntea.notes.add(slip)\ntea.notes.clear()",
            "row(Note, slip.pk).parcel_id is None",
        ),
        write(
            "many to many: `remove`, `add`",
            "tea.stickers.remove(red)\ntea.stickers.add(red, through_defaults={'id': new_id(tea)})",
            "tea.stickers.count() == 1",
        ),
        write(
            "many to many: `set`, `clear`",
            "tea.stickers.set([])\ntea.stickers.set([red], through_defaults={'id': new_id(tea)})\ntea.stickers.clear()",
            "tea.stickers.count() == 0",
        ),
        write(
            "a query on the scope's database",
            "Item.objects.using(here).filter(parcel=tea).update(name='x')",
            "tea.items.filter(name='x').count() == 2",
        ),
    ),
)

REFUSED_WRITES = Group(
    title="Writes that are refused",
    text="Nothing has changed afterwards, on any database.",
    cases=(
        refusal("without a transaction", "tea.save()", "ShardScopeMissing", SCOPE),
        refusal("… a queryset's", "Parcel.objects.filter(pk=tea.pk).update(label='x')", "ShardScopeMissing", SCOPE),
        refusal("… a related manager's", "tea.items.create(id=new_id(tea))", "ShardScopeMissing", SCOPE),
        refusal("… `delete`", "Parcel.objects.filter(pk=tea.pk).delete()", "ShardScopeMissing", SCOPE),
        refusal(
            "… `select_for_update`", "Parcel.objects.select_for_update().get(pk=tea.pk)", "ShardScopeMissing", SCOPE
        ),
        refusal("… `save_base`, as fixtures do", "tea.save_base(raw=True, using=here)", "ShardScopeMissing", SCOPE),
        refusal(
            "in another shard's transaction",
            "tea.save()",
            "ShardScopeMissing",
            "does not belong to",
            inside="far's shard",
        ),
        refusal(
            "… of a row read elsewhere", "stale.save()", "ShardScopeMissing", "does not belong to", inside="far's shard"
        ),
        refusal(
            "… a queryset's",
            "Parcel.objects.filter(pk=tea.pk).update(label='x')",
            "ShardScopeMissing",
            "in a scope on",
            inside="far's shard",
        ),
        refusal("… `delete`", "tea.delete()", "ShardScopeMissing", "does not belong to", inside="far's shard"),
        refusal(
            "… `get_or_create`",
            "Parcel.objects.get_or_create(pk=tea.pk)",
            "ShardScopeMissing",
            "in a scope on",
            inside="far's shard",
        ),
        refusal(
            "rows of two shards in one `bulk_create`",
            "Parcel.objects.bulk_create([Parcel(id=new_id(p), owner_id=p.pk) for p in (tea, far)])",
            "ShardScopeMissing",
            "does not belong to",
            inside="tea's shard",
        ),
        refusal(
            "rows of two shards in one `bulk_update`",
            "Parcel.objects.bulk_update([tea, far], ['label'])",
            "ShardScopeMissing",
            "does not belong to",
            inside="tea's shard",
        ),
        refusal(
            "`update` without a key",
            "Parcel.objects.filter(label='tea').update(weight=1)",
            "ShardKeyMissing",
            KEY,
            inside="tea's shard",
        ),
        refusal(
            "`delete` without a key", "Parcel.objects.all().delete()", "ShardKeyMissing", KEY, inside="tea's shard"
        ),
        refusal(
            "`get_or_create` without a key",
            "Parcel.objects.get_or_create(label='new', defaults={'id': new_id(tea), 'owner_id': tea.pk})",
            "ShardKeyMissing",
            KEY,
            inside="tea's shard",
            note="another shard may have it",
        ),
        refusal(
            "`update_or_create` without a key",
            "Parcel.objects.update_or_create(label='new', defaults={'weight': 1})",
            "ShardKeyMissing",
            KEY,
            inside="tea's shard",
        ),
        refusal(
            "`select_for_update` without a key",
            "Parcel.objects.select_for_update().filter(label='tea').first()",
            "ShardKeyMissing",
            KEY,
            inside="tea's shard",
        ),
        refusal(
            "`update` by a subquery of another shard",
            "Parcel.objects.filter(pk=tea.pk).update(label=Subquery(Parcel.objects.filter(pk=far.pk).values('label')))",
            "MixedShards",
            "read it first",
            inside="tea's shard",
        ),
        refusal(
            "a new row without an ID",
            "Parcel(owner_id=tea.pk).save()",
            "ShardKeyMissing",
            "give it one with `new_id`",
            inside="tea's shard",
        ),
        refusal(
            "a row whose key lies in another bucket",
            "Parcel.objects.create(id=new_id(tea), owner_id=far.pk)",
            "MixedShards",
            "lies in another bucket",
            inside="tea's shard",
        ),
        refusal(
            "changing a shard key: `update`",
            "Item.objects.filter(pk=cup.pk).update(parcel=far)",
            "MixedShards",
            BUCKET,
            inside="tea's shard",
        ),
        refusal(
            "changing a shard key: by an expression",
            "Parcel.objects.filter(pk=tea.pk).update(owner_id=F('owner_id') + 1)",
            "MixedShards",
            BUCKET,
            inside="tea's shard",
        ),
        refusal(
            "changing a shard key: `bulk_update`",
            "Item.objects.bulk_update([cup], ['parcel'])",
            "MixedShards",
            BUCKET,
            inside="tea's shard",
        ),
        refusal(
            "relating rows of two buckets",
            "cup.parcel = far",
            "ValueError",
            "prevents this relation",
            inside="tea's shard",
        ),
        refusal(
            "a related manager's `add` of another bucket's row",
            "tea.items.add(far_cup)",
            "ValueError",
            "",
            inside="tea's shard",
        ),
        refusal(
            "many to many, of another bucket",
            "red.parcels.add(far, through_defaults={'id': new_id(tea)})",
            "ValueError",
            "value is on database",
            inside="tea's shard",
        ),
        refusal(
            "many to many, no ID for the row between",
            "tea.stickers.clear()\ntea.stickers.add(red)",
            "ShardKeyMissing",
            "give it one with `new_id`",
            inside="tea's shard",
            note='say `through_defaults={"id": …}`',
        ),
        refusal(
            "`save(using=)` of another database",
            "tea.save(using=there)",
            "ShardScopeMissing",
            "the scope is",
            inside="tea's shard",
        ),
        refusal(
            "`delete(using=)` of another database",
            "tea.delete(using=there)",
            "MixedShards",
            "the scope is",
            inside="tea's shard",
        ),
        refusal(
            "a query on another database",
            "Parcel.objects.using(there).filter(pk=tea.pk).update(label='x')",
            "ShardScopeMissing",
            "the scope is",
            inside="tea's shard",
        ),
        refusal(
            "`refresh_from_db(using=)` of another database",
            "tea.refresh_from_db(using=there)",
            "MixedShards",
            "it can't be read on",
        ),
        refusal(
            "`update_conflicts` of what is unique on one shard only",
            "Note.objects.bulk_create([Note(id=new_id(tea), serial=1)], update_conflicts=True, unique_fields=['serial'], update_fields=['text'])",
            "ShardKeyMissing",
            "use `shop.sharding.unique`",
            inside="tea's shard",
        ),
        refusal(
            "`full_clean` of what is unique on one shard only",
            "Note(id=new_id(tea), parcel=tea, text='new', serial=1).full_clean()",
            "ShardKeyMissing",
            "use `shop.sharding.unique`",
            inside="tea's shard",
        ),
        refusal(
            "`validate_unique` of an ID that is taken",
            "Item(id=cup.pk, parcel=tea).validate_unique()",
            "ValidationError",
            "already exists",
        ),
        refusal(
            "`validate_constraints` of a value that is taken",
            "Note(id=new_id(tea), parcel=tea, text=slip.text).validate_constraints(exclude=['serial'])",
            "ValidationError",
            "already exists",
        ),
        refusal(
            "a second shard's transaction inside",
            "with shard_atomic(CONTEXT, far.pk):\n    pass",
            "MixedShards",
            "needs one of its own",
            inside="tea's shard",
        ),
        refusal(
            "`transaction.atomic()` without `using`",
            "with transaction.atomic():\n    pass",
            "ImproperlyConfigured",
            "DATABASES is improperly configured",
            note="banned by a lint rule too",
        ),
        refusal(
            "`transaction.on_commit()` without `using`",
            "transaction.on_commit(print)",
            "ImproperlyConfigured",
            "DATABASES is improperly configured",
            note="use `Scope.on_commit`",
        ),
    ),
)
