"""Cases: finding rows of one shard."""

from tests.kernel.router.cases import Group, read, refusal

KEY = "use `.on(key)` or `.across()`"

BY_KEY = Group(
    title="Reads that name a key",
    text="A key is the ID of the row, or a column that the model lists in `shard_keys`: an ID of the same bucket.",
    cases=(
        read("by ID", "Parcel.objects.get(pk=tea.pk)", "tea"),
        read("by a shard key", "Parcel.objects.get(owner_id=tea.owner_id)", "tea"),
        read("by a foreign key", "Item.objects.filter(parcel=tea).order_by('name')", "[cup, pot]"),
        read(
            "by IDs of one shard", "Item.objects.filter(pk__in=[cup.pk, pot.pk, None]).order_by('name')", "[cup, pot]"
        ),
        read("a key and anything else", "Parcel.objects.filter(Q(label='tea') | Q(weight=1), pk=tea.pk)", "[tea]"),
        read(
            "a key in each branch of an OR",
            "Item.objects.filter(Q(pk=cup.pk) | Q(parcel=tea, name='pot')).count()",
            "2",
        ),
        read("a key of a joined table", "Item.objects.filter(parcel__owner_id=tea.owner_id).count()", "2"),
        read("a key across a reverse join", "Parcel.objects.filter(items=cup)", "[tea]"),
        read(
            "`exclude` and `~Q` beside a key",
            "Item.objects.filter(~Q(name='pot'), parcel=tea).exclude(name='x')",
            "[cup]",
        ),
        read("`exclude` over a reverse join", "Parcel.objects.filter(pk=tea.pk).exclude(items__name='lid')", "[tea]"),
        read("`complex_filter`", "Parcel.objects.complex_filter(Q(pk=tea.pk))", "[tea]"),
        read(
            "two querysets by `&` and `|`",
            "(Item.objects.filter(pk=cup.pk) | Item.objects.filter(pk=pot.pk)) & Item.objects.filter(name='pot')",
            "[pot]",
        ),
        read(
            "within the bucket of a key",
            "Item.objects.on(tea.pk).filter(name='cup')",
            "[cup]",
            note="rows of the key's bucket, whatever else lies on its shard",
        ),
        read(
            "`.on(key)` and the key of another bucket",
            "Parcel.objects.on(tea.pk).filter(owner_id=far.owner_id)",
            "[]",
            note="no row is in both",
        ),
        read(
            "no row is wanted",
            "[*Parcel.objects.none(), *Parcel.objects.filter(pk__in=[])]",
            "[]",
            note="no database is asked",
        ),
        read(
            "while another shard's transaction is open",
            "with shard_atomic(CONTEXT, far.pk):\n    found = Parcel.objects.get(pk=tea.pk)\nfound",
            "tea",
            note="outside of that transaction",
        ),
    ),
)

SHAPES = Group(
    title="What a read may ask for",
    text="Whatever Django can do on one database works on the key's shard.",
    cases=(
        read(
            "`first`, `last`",
            "items = Item.objects.filter(parcel=tea).order_by('name')\n[items.first(), items.last()]",
            "[cup, pot]",
        ),
        read(
            "`earliest`, `latest`, `reverse`",
            "items = Item.objects.on(tea.pk)\n[items.earliest('name'), items.latest('name'), *items.order_by('pk').reverse()]",
            "[cup, pot, *sorted([cup, pot], key=lambda item: -item.pk)]",
        ),
        read(
            "`exists`, `count`, `contains`",
            "rows = Parcel.objects.filter(pk=tea.pk)\n[rows.exists(), rows.count(), Parcel.objects.contains(tea)]",
            "[True, 1, True]",
        ),
        read("`aggregate`", "Parcel.objects.filter(owner_id=tea.owner_id).aggregate(n=Sum('weight'))", "{'n': 5}"),
        read(
            "`annotate`, `alias`",
            "Parcel.objects.filter(pk=tea.pk).alias(n=Count('items')).annotate(m=F('n')).get().m",
            "2",
        ),
        read(
            "`values`, `values_list`",
            "rows = Item.objects.filter(parcel=tea).order_by('name')\n[*rows.values('name'), *rows.values_list('name', flat=True)]",
            "[{'name': 'cup'}, {'name': 'pot'}, 'cup', 'pot']",
        ),
        read(
            "groups",
            "Item.objects.on(tea.pk).values('parcel').annotate(n=Count('pk')).values_list('n', flat=True)",
            "[2]",
        ),
        read("`distinct`", "Item.objects.filter(parcel=tea).values('parcel').distinct().count()", "1"),
        read(
            "`dates`, `datetimes`",
            "rows = Parcel.objects.filter(pk=tea.pk)\n[len(rows.dates('sent_at', 'day')), len(rows.datetimes('sent_at', 'hour'))]",
            "[1, 1]",
        ),
        read("`in_bulk`", "Item.objects.in_bulk([cup.pk, pot.pk])", "{cup.pk: cup, pot.pk: pot}"),
        read("`iterator`", "[*Item.objects.filter(parcel=tea, name='cup').iterator(chunk_size=1)]", "[cup]"),
        read(
            "`only`, `defer`, columns read later",
            "[Parcel.objects.only('weight').get(pk=tea.pk).label, Parcel.objects.defer('label').get(pk=tea.pk).label]",
            "['tea', 'tea']",
        ),
        read("`select_related`", "Item.objects.select_related('parcel').get(pk=cup.pk).parcel", "tea"),
        read("a slice", "Item.objects.filter(parcel=tea).order_by('name')[1:]", "[pot]"),
        read("windows", "Item.objects.filter(parcel=tea).annotate(r=Window(Rank(), order_by='name')).get(r=2)", "pot"),
        read("`explain`", "bool(Parcel.objects.filter(pk=tea.pk).explain())", "True"),
        read(
            "`select_for_update`",
            "with shard_atomic(CONTEXT, tea.pk):\n    row = Parcel.objects.select_for_update().get(pk=tea.pk)\nrow",
            "tea",
        ),
        read(
            "`fetch_mode`",
            "[item.parcel for item in Item.objects.filter(parcel=tea).fetch_mode(FETCH_PEERS)]",
            "[tea, tea]",
        ),
        read("`db`", "Parcel.objects.filter(pk=tea.pk).db", "here", note="the router's answer itself"),
        read("`db_manager`", "Parcel.objects.db_manager(here).get(pk=tea.pk)", "tea"),
        read(
            "a filtered relation",
            "Parcel.objects.annotate(cup=FilteredRelation('items', condition=Q(items__name='cup'))).filter(pk=tea.pk, cup__isnull=False)",
            "[tea]",
        ),
        read(
            "a pickled queryset",
            "rows = Parcel.objects.all()\nrows.query = pickle.loads(pickle.dumps(Parcel.objects.filter(pk=tea.pk).query))\nrows",
            "[tea]",
        ),
        read(
            "`using(alias)`",
            "[Parcel.objects.using(there).get(pk=tea.pk).label, Parcel.objects.using(there).count()]",
            "['copy', 2]",
            note="all that this database holds, copies under way too: for the kernel only, a test keeps contexts from it",
        ),
        read(
            "`owned_by(alias)`", "Parcel.objects.owned_by(there)", "[far]", note="what this database owns; for reports"
        ),
    ),
)

KEYLESS = Group(
    title="Reads that name no key, or too many",
    text="Refused before any database is asked.",
    cases=(
        refusal("everything", "[*Parcel.objects.all()]", "ShardKeyMissing", KEY),
        refusal("by another column", "Parcel.objects.get(label='tea')", "ShardKeyMissing", KEY),
        refusal("by a range of IDs", "Parcel.objects.filter(pk__gte=tea.pk).first()", "ShardKeyMissing", KEY),
        refusal(
            "a key or something else",
            "Parcel.objects.filter(Q(pk=tea.pk) | Q(label='tea')).count()",
            "ShardKeyMissing",
            KEY,
        ),
        refusal(
            "a key among expressions",
            "Parcel.objects.filter(pk__in=[tea.pk, F('owner_id')]).count()",
            "ShardKeyMissing",
            KEY,
        ),
        refusal("all but a key", "Parcel.objects.exclude(pk=tea.pk).count()", "ShardKeyMissing", KEY),
        refusal("`~Q` of a key", "Parcel.objects.filter(~Q(pk__in=[tea.pk])).exists()", "ShardKeyMissing", KEY),
        refusal(
            "either key, by `^`",
            "Parcel.objects.filter(Q(pk=tea.pk) ^ Q(owner_id=tea.owner_id)).exists()",
            "ShardKeyMissing",
            KEY,
        ),
        refusal(
            "IDs of two shards",
            "[*Parcel.objects.filter(pk__in=[tea.pk, far.pk])]",
            "ShardKeyMissing",
            KEY,
            note="it names both shards",
        ),
        refusal(
            "an OR of two shards", "Parcel.objects.filter(Q(pk=tea.pk) | Q(pk=far.pk)).count()", "ShardKeyMissing", KEY
        ),
        refusal(
            "keys of two shards at once",
            "Parcel.objects.filter(pk=tea.pk, owner_id=far.owner_id).count()",
            "ShardKeyMissing",
            KEY,
        ),
        refusal(
            "`.on` of two shards by `|`",
            "(Parcel.objects.on(tea.pk) | Parcel.objects.on(far.pk)).count()",
            "ShardKeyMissing",
            KEY,
        ),
        refusal(
            "`.on(key)` and a list of keys beyond its bucket",
            "Parcel.objects.on(tea.pk).filter(pk__in=[tea.pk, far.pk]).count()",
            "ShardKeyMissing",
            "leave `.on` out",
        ),
        refusal("`in_bulk` of two shards", "Parcel.objects.in_bulk([tea.pk, far.pk])", "ShardKeyMissing", KEY),
        refusal("`in_bulk` of everything", "Parcel.objects.in_bulk()", "ShardKeyMissing", KEY),
        refusal(
            "`iterator`, `aggregate` of everything", "Parcel.objects.aggregate(n=Count('pk'))", "ShardKeyMissing", KEY
        ),
        refusal(
            "a column of a joined table", "Item.objects.filter(parcel__label='tea').first()", "ShardKeyMissing", KEY
        ),
        refusal(
            "querysets of which one is on a database",
            "Parcel.objects.using(here) | Parcel.objects.filter(pk=far.pk)",
            "MixedShards",
            "one of the queries is on",
        ),
        refusal(
            "`raw`",
            "[*Parcel.objects.on(tea.pk).raw('SELECT * FROM shop_catalog_probe_parcel')]",
            "ShardKeyMissing",
            "say `using=` or use a `Statement`",
            note="raw SQL leaves out what the queryset filters by",
        ),
        read(
            "`raw(using=)`",
            "[row.label for row in Parcel.objects.raw('SELECT * FROM shop_catalog_probe_parcel ORDER BY label', using=here)]",
            "['copy', 'tea']",
            note="as it is sent, to this database; for the kernel only",
        ),
        refusal(
            "`extra`", "Parcel.objects.filter(pk=tea.pk).extra(where=['1 = 1'])", "ShardKeyMissing", "use a `Statement`"
        ),
    ),
)
