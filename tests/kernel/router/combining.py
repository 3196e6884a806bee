"""Cases: queries within queries, prefetching, many shards."""

from tests.kernel.router.cases import Group, read, refusal

FIRST = "read it first"

SUBQUERIES = Group(
    title="Subqueries and unions",
    text="Django runs a subquery where the outer query runs. It may, if its rows lie in the bucket of the outer row.",
    cases=(
        read(
            "`Exists`, bound by a key",
            "Parcel.objects.on(tea.pk).filter(Exists(Item.objects.filter(parcel_id=OuterRef('pk'), name='cup')))",
            "[tea]",
        ),
        read(
            "`Subquery`, bound by a key",
            "Parcel.objects.annotate(first=Subquery(Item.objects.filter(parcel=OuterRef('pk')).order_by('name').values('name')[:1])).get(pk=tea.pk).first",
            "'cup'",
        ),
        read(
            "keys among a query's keys",
            "Parcel.objects.filter(pk__in=Item.objects.filter(name='cup').values('parcel')).filter(pk=tea.pk)",
            "[tea]",
        ),
        read(
            "keys not among them",
            "Parcel.objects.on(tea.pk).exclude(pk__in=Item.objects.filter(name='lid').values('parcel_id'))",
            "[tea]",
        ),
        read(
            "another query of the same key",
            "Item.objects.filter(parcel=tea, name__in=Item.objects.filter(pk=cup.pk).values('name'))",
            "[cup]",
        ),
        refusal(
            "as the only key",
            "Parcel.objects.filter(pk__in=Item.objects.on(tea.pk).values('parcel_id')).first()",
            "ShardKeyMissing",
            "use `.on(key)`",
        ),
        refusal(
            "a query of another shard",
            "Parcel.objects.on(tea.pk).filter(Exists(Item.objects.filter(parcel=far))).count()",
            "MixedShards",
            FIRST,
        ),
        refusal(
            "a query of any shard",
            "Parcel.objects.on(tea.pk).filter(label__in=Item.objects.values('name')).count()",
            "ShardKeyMissing",
            FIRST,
        ),
        refusal(
            "the first of any shard's",
            "Parcel.objects.on(tea.pk).filter(pk__in=Item.objects.order_by('name').values('parcel')[:1]).count()",
            "ShardKeyMissing",
            FIRST,
        ),
        refusal(
            "by a rank over any shard's",
            "best = Item.objects.annotate(r=Window(Rank(), order_by='name')).filter(r=1)\nParcel.objects.on(tea.pk).filter(pk__in=best.values('parcel')).count()",
            "ShardKeyMissing",
            FIRST,
        ),
        refusal(
            "a query on another database",
            "Parcel.objects.on(tea.pk).filter(Exists(Item.objects.using(there))).count()",
            "MixedShards",
            FIRST,
        ),
        refusal(
            "in `annotate`",
            "Parcel.objects.on(tea.pk).annotate(n=Subquery(Item.objects.filter(parcel=far).values('name')[:1])).first()",
            "MixedShards",
            FIRST,
        ),
        refusal(
            "of a table at the home",
            "Parcel.objects.filter(pk=max(tea.pk, far.pk), label__in=Notice.objects.values('text')).count()",
            "MixedShards",
            FIRST,
        ),
        refusal(
            "within a query of the home",
            "Notice.objects.filter(text__in=Parcel.objects.filter(pk=max(tea.pk, far.pk)).values('label')).count()",
            "MixedShards",
            FIRST,
        ),
        refusal(
            "of any shard, within a query of the home",
            "Notice.objects.filter(text__in=Parcel.objects.values('label')).count()",
            "ShardKeyMissing",
            FIRST,
        ),
        read(
            "`union` on one shard",
            "Item.objects.filter(pk=cup.pk).union(Item.objects.filter(parcel=tea)).order_by('name')",
            "[cup, pot]",
        ),
        read(
            "`intersection`, `difference` on one shard",
            "items = Item.objects.filter(parcel=tea)\n[*items.intersection(Item.objects.filter(pk=cup.pk)), *items.difference(Item.objects.filter(pk=cup.pk))]",
            "[cup, pot]",
        ),
        read(
            "`union` of two tables",
            "Item.objects.filter(pk=cup.pk).values_list('name').union(Parcel.objects.filter(pk=tea.pk).values_list('label'))",
            "[['cup'], ['tea']]",
        ),
        read(
            "`union` with nothing",
            "Parcel.objects.none().union(Parcel.objects.filter(pk=tea.pk), Parcel.objects.none())",
            "[tea]",
        ),
        refusal(
            "`union` of two shards",
            "[*Parcel.objects.filter(pk=tea.pk).union(Parcel.objects.filter(pk=far.pk))]",
            "ShardKeyMissing",
            "use `.on(key)` or `.across()`",
        ),
        refusal(
            "`union` on two databases",
            "[*Parcel.objects.using(here).union(Parcel.objects.using(there))]",
            "MixedShards",
            FIRST,
        ),
        refusal(
            "`union` with a table at the home",
            "[*Notice.objects.values_list('text').union(Parcel.objects.filter(pk=max(tea.pk, far.pk)).values_list('label'))]",
            "MixedShards",
            FIRST,
        ),
    ),
)

RELATED = Group(
    title="Related rows",
    text="A relation never leaves its bucket, so what belongs to a row is asked of the row's shard.",
    cases=(
        read("forwards", "Item.objects.get(pk=cup.pk).parcel", "tea"),
        read("backwards", "tea.items.filter(name='cup')", "[cup]"),
        read("many to many", "[*tea.stickers.all(), *red.parcels.all()]", "[red, tea]"),
        read(
            "`prefetch_related`",
            "Parcel.objects.prefetch_related('items', 'stickers').get(pk=tea.pk).items.count()",
            "2",
        ),
        read(
            "`Prefetch`",
            "Parcel.objects.prefetch_related(Prefetch('items', Item.objects.filter(name='cup'), to_attr='cups')).get(pk=tea.pk).cups",
            "[cup]",
        ),
        read(
            "prefetching on many shards",
            "sorted((p.label, len(p.items.all())) for p in Parcel.objects.prefetch_related('items').across().rows())",
            "sorted([['far', 2], ['tea', 2]])",
        ),
        refusal(
            "prefetching for rows of two shards",
            "prefetch_related_objects([tea, far], 'items')",
            "ShardKeyMissing",
            "use `.on(key)` or `.across()`",
            note="prefetch before `.across()`, or shard by shard",
        ),
        refusal(
            "`Prefetch` of another bucket",
            "Parcel.objects.prefetch_related(Prefetch('items', Item.objects.on(far.pk))).get(pk=tea.pk)",
            "ShardKeyMissing",
            "leave `.on` out",
        ),
    ),
)

ACROSS = Group(
    title="Many shards: `.across()`",
    text="All shards that own something, or those of the keys named, at once; each row at its owner. A shard that does not "
    "answer is an error unless `partial=True` is asked for, and then named in `missing`.",
    cases=(
        read("all rows", "sorted(Parcel.objects.across().rows(), key=lambda row: row.label)", "[far, tea]"),
        read("their number", "Parcel.objects.across().count()", "2"),
        read(
            "a page",
            "Item.objects.across().page(order=('name', 'id'), limit=3).rows",
            "[*sorted([cup, far_cup], key=lambda item: item.pk), *[i for i in (pot, Item.objects.get(parcel=far, name='pot')) if i.pk == min(pot.pk, Item.objects.get(parcel=far, name='pot').pk)]]",
            note="merged by value; the next one begins behind the last row",
        ),
        read(
            "IDs of many shards",
            "sorted(Parcel.objects.filter(pk__in=[tea.pk, far.pk]).across().rows(), key=lambda row: row.label)",
            "[far, tea]",
        ),
        read(
            "IDs of one shard",
            "Parcel.objects.filter(pk=tea.pk).across().rows()",
            "[tea]",
            note="the others are not asked",
        ),
        read("shards of some buckets", "Parcel.objects.across([tea.pk >> 51]).rows()", "[tea]"),
        read(
            "with a bound subquery",
            "len(Parcel.objects.filter(Exists(Item.objects.filter(parcel=OuterRef('pk'), name='cup'))).across().rows())",
            "2",
        ),
        read(
            "`distinct` rows", "Parcel.objects.filter(items__name__in=['cup', 'pot']).distinct().across().count()", "2"
        ),
        read(
            "counted along",
            "sorted(row.n for row in Parcel.objects.annotate(n=Count('items')).across().rows())",
            "[2, 2]",
        ),
        read(
            "within a transaction",
            "with shard_atomic(CONTEXT, tea.pk):\n    Parcel.objects.filter(pk=tea.pk).delete()\n    n = Parcel.objects.across().count()\nn",
            "1",
            note="in this thread, so what it has written is seen",
        ),
        refusal("a slice", "Parcel.objects.order_by('pk')[:1].across()", "MixedShards", "ask for a page"),
        refusal(
            "a union",
            "Parcel.objects.filter(pk=tea.pk).union(Parcel.objects.filter(pk=far.pk)).across()",
            "MixedShards",
            "has no sum",
        ),
        refusal("groups", "Item.objects.values('name').annotate(n=Count('pk')).across()", "MixedShards", "groups rows"),
        refusal(
            "`distinct` values",
            "Item.objects.values('name').distinct().across()",
            "MixedShards",
            "leaves out equal rows",
        ),
        refusal(
            "windows",
            "Item.objects.annotate(r=Window(Rank(), order_by='name')).across()",
            "MixedShards",
            "counts over rows",
        ),
        refusal(
            "a query on one database",
            "Parcel.objects.using(here).across()",
            "MixedShards",
            "is on one database already",
        ),
        refusal(
            "with a subquery of one shard",
            "Parcel.objects.filter(label__in=Item.objects.filter(parcel=tea).values('name')).across().count()",
            "MixedShards",
            FIRST,
        ),
        refusal(
            "a page in no certain order",
            "Parcel.objects.across().page(order=('label',), limit=1)",
            "ValueError",
            "end with the ID",
        ),
        refusal(
            "a page by another row's value",
            "Item.objects.across().page(order=('parcel__label', 'id'), limit=1)",
            "ValueError",
            "a value of another row",
        ),
        refusal(
            "a page by what may be null",
            "Note.objects.across().page(order=('serial', 'id'), limit=1)",
            "ValueError",
            "has null",
        ),
        refusal(
            "a page of `values`",
            "Parcel.objects.values('label').across().page(order=('id',), limit=1)",
            "ValueError",
            "leave values() out",
        ),
    ),
)
