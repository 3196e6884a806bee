"""Idempotency-Key: one effect and one answer per key, whatever breaks off."""

from datetime import UTC, datetime, timedelta

import pytest
from django.http import HttpResponse, JsonResponse
from django.test import Client

from shop.contract import ConflictError, InvalidError, NotFoundError, UnavailableError
from shop.gateway import routes
from shop.http import giving_up, idempotency
from shop.http.idempotency import Claim, answering, forget_old_claims, never_kept, resource_id
from shop.http.models import IdempotencyClaim
from shop.http.problems import MalformedRequest
from shop.sharding import ShardUnavailable, alias_of, bucket_of, key_of_bucket, shard_atomic
from shop.sharding.together import insert_if_new
from tests.e2e.people import eventually
from tests.kernel import edge
from tests.kernel.probes import ALIASES, CONTEXT, LEFT, RIGHT, Parcel
from tests.plugin import bearer, make_principal

COMMITTING = pytest.mark.django_db(databases=ALIASES, transaction=True)
pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("probe_tables")]


class Broken(Exception):
    """A bug in a view."""


@pytest.fixture(autouse=True)
def table(monkeypatch, settings):
    settings.ROOT_URLCONF = "tests.kernel.edge"
    monkeypatch.setattr(routes, "_table", {})
    monkeypatch.setattr(routes, "_contexts", {})
    monkeypatch.setattr(edge.Act, "now", staticmethod(place), raising=False)
    monkeypatch.setattr(edge.Act, "calls", 0)
    routes.register("catalog", edge.PREFIX, edge.ROUTES)


@pytest.fixture
def act(monkeypatch):
    def set_to(what):
        monkeypatch.setattr(edge.Act, "now", staticmethod(what))

    return set_to


@pytest.fixture(params=[LEFT, RIGHT], ids=["first shard", "second shard"])
def customer(request):
    return make_principal(bucket=request.param)


def made(parcel):
    return JsonResponse({"id": str(parcel.pk), "call": edge.Act.calls}, status=201, headers={"Location": "/x"})


def place(request):
    """A use case as contexts write it: the effect under the claimed ID, the answer kept with it."""
    number, owner = resource_id(request, CONTEXT, near=request.principal.key), request.principal.key
    found = Parcel.objects.filter(pk=number).first()
    if found is None:
        with shard_atomic(CONTEXT, owner):
            found = Parcel.objects.create(id=number, owner_id=owner)
            answering(request, made)(found)
    return made(found)


def send(principal, key="k", body=b'{"a": 1}', where="orders"):
    client = Client(HTTP_HOST="localhost", raise_request_exception=False)
    headers = bearer(principal) | ({"HTTP_IDEMPOTENCY_KEY": key} if key else {})
    return client.generic("POST", f"/edge/{where}", body, content_type="application/json", **headers)


def claims():
    return [row for alias in ALIASES for row in IdempotencyClaim.objects.using(alias)]


def change_claim(**fields):
    [row] = claims()
    IdempotencyClaim.objects.using(row._state.db).update(**fields)
    return row


def lapse():
    return change_claim(lease_until=datetime.now(UTC) - timedelta(seconds=1))


def parcels():
    return Parcel.objects.across().count()


def test_the_same_request_again_is_the_first_answer_byte_for_byte(customer):
    first, second = send(customer), send(customer)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert [second[name] for name in ("Content-Type", "Location")] == ["application/json", "/x"]
    assert ("Idempotent-Replay" in first, second["Idempotent-Replay"]) == (False, "true")
    assert first["X-Request-ID"] != second["X-Request-ID"]
    assert (edge.Act.calls, parcels()) == (1, 1)


def test_the_claim_lies_in_the_callers_bucket_and_so_does_what_it_makes(customer):
    send(customer)
    [row] = claims()
    assert {bucket_of(row.pk), bucket_of(row.resource_id)} == {bucket_of(customer.key)}
    assert row._state.db == alias_of(CONTEXT, customer.key)


def test_the_made_thing_has_the_claimed_id(customer):
    answer = send(customer)
    assert answer.json()["id"] == str(claims()[0].resource_id)


@pytest.mark.parametrize("body", [b'{"a": 2}', b'{"a":1}'])
def test_a_key_with_another_body_is_refused(customer, body):
    send(customer)
    answer = send(customer, body=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert parcels() == 1


def test_a_key_at_another_address_is_refused(customer):
    send(customer)
    assert send(customer, where="notes").json()["code"] == "idempotency_key_reused"


def test_a_refused_reuse_leaves_the_first_claim_alone(customer):
    first = send(customer)
    send(customer, body=b"{}")
    assert send(customer).content == first.content


def test_keys_of_two_callers_never_meet():
    first, second = make_principal(bucket=LEFT), make_principal(bucket=LEFT)
    assert send(first).content != send(second).content
    assert parcels() == 2


@pytest.mark.parametrize("bucket", [LEFT, RIGHT])
def test_what_staff_make_lies_where_it_belongs_and_not_with_its_maker(act, bucket):
    """Given a claim in the staff member's bucket for something of another bucket, made twice."""
    staff, near = make_principal("staff", "catalog_editor"), key_of_bucket(bucket)

    def make(request):
        number = resource_id(request, CONTEXT, near=near)
        with shard_atomic(CONTEXT, near):
            Parcel.objects.create(id=number, owner_id=near)
        raise Broken

    act(make)
    assert send(staff, where="notes").status_code == 500
    [first] = Parcel.objects.across().rows()
    act(lambda request: JsonResponse({"id": str(resource_id(request, CONTEXT, near=near))}))
    answers = [send(staff, where="notes") for _ in range(2)]
    assert bucket_of(first.pk) == bucket
    assert answers[0].json()["id"] == str(first.pk)
    assert answers[0].content == answers[1].content


def test_without_a_key_nothing_is_claimed(customer):
    contents = {send(customer, key=None, where="notes").content for _ in range(2)}
    assert len(contents) == 2
    assert claims() == []


def test_while_the_first_one_runs_the_second_is_told_to_ask_again(customer, act):
    inner = []

    def slow(request):
        inner.append(send(customer))
        return place(request)

    act(slow)
    assert send(customer).status_code == 201
    assert (inner[0].status_code, inner[0].json()["code"]) == (409, "idempotency_in_progress")
    assert inner[0]["Retry-After"] == "1"
    assert edge.Act.calls == 1


KEPT = {
    "declined": lambda r: HttpResponse(b"no", status=402),
    "not found": NotFoundError(detail="gone"),
    "conflict": ConflictError(detail="no"),
}
WITHDRAWN = {
    "invalid": InvalidError(detail="no"),
    "unsupported": MalformedRequest(415, "unsupported_media_type", "no"),
    "limited": lambda r: HttpResponse(status=429),
}
GIVEN_UP = {
    "bug": Broken("no"),
    "unavailable": UnavailableError(detail="later"),
    "bad gateway": lambda r: HttpResponse(status=502),
}


def doing(what):
    def view(request):
        if isinstance(what, Exception):
            raise what
        return what(request)

    return view


@pytest.mark.parametrize("what", KEPT.values(), ids=KEPT)
def test_an_answer_of_the_operation_is_kept(customer, act, what):
    act(doing(what))
    first = send(customer)
    act(place)
    second = send(customer)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert edge.Act.calls == 1


def test_an_answer_with_a_secret_is_never_kept_and_made_anew_under_the_same_id(customer, act):
    def whisper(request):
        number, owner = resource_id(request, CONTEXT), request.principal.key
        if not Parcel.objects.filter(pk=number).exists():
            with shard_atomic(CONTEXT, owner):
                Parcel.objects.create(id=number, owner_id=owner)
        return never_kept(request, JsonResponse({"id": str(number), "secret": "s"}, status=201))

    act(whisper)
    first, second = send(customer), send(customer)
    assert (first.status_code, first.json()) == (201, second.json())
    assert "Idempotent-Replay" not in second
    [row] = claims()
    assert (bytes(row.body), row.status, edge.Act.calls, parcels()) == (b"", None, 2, 1)


@pytest.mark.parametrize("what", WITHDRAWN.values(), ids=WITHDRAWN)
def test_a_refusal_forgets_the_key(customer, act, what):
    act(doing(what))
    assert send(customer).status_code >= 400
    assert claims() == []
    act(place)
    assert send(customer, body=b'{"mended": true}').status_code == 201


@pytest.mark.parametrize("what", GIVEN_UP.values(), ids=GIVEN_UP)
def test_a_failure_keeps_the_claims_id_for_the_next_try(customer, act, what):
    act(doing(what))
    assert send(customer).status_code >= 500
    [before] = claims()
    act(place)
    answer = send(customer)
    assert (answer.status_code, answer.json()["id"]) == (201, str(before.resource_id))


def test_a_failure_after_the_effect_finds_its_own_effect(customer, act):
    def fail_late(request):
        with shard_atomic(CONTEXT, request.principal.key):
            Parcel.objects.create(id=resource_id(request, CONTEXT), owner_id=request.principal.key)
        raise Broken

    act(fail_late)
    assert send(customer).status_code == 500
    act(place)
    assert (send(customer).status_code, parcels()) == (201, 1)


def test_a_lapsed_claim_is_taken_over_under_the_same_id(customer, act):
    """Given a process that died after its claim."""
    send(customer)
    row = change_claim(state="running", status=None, body=b"")
    with shard_atomic(CONTEXT, customer.key):
        Parcel.objects.filter(pk=row.resource_id).delete()
    assert send(customer).status_code == 409
    lapse()
    answer = send(customer)
    assert (answer.status_code, answer.json()["id"]) == (201, str(row.resource_id))
    assert claims()[0].lease_token != row.lease_token


def claim_and_hear_nothing(*given):
    insert_if_new(*given)
    raise ShardUnavailable


def reach_nothing(*_, **__):
    raise ShardUnavailable


@COMMITTING
@pytest.mark.parametrize(
    "cut_off",
    [(idempotency, "insert_if_new", claim_and_hear_nothing), (Claim, "_change", reach_nothing)],
    ids=["when claiming", "when giving up"],
)
def test_a_claim_that_its_databases_loss_has_cut_off_is_free_as_soon_as_that_is_back(cut_off, act, monkeypatch):
    monkeypatch.setattr(giving_up, "EVERY_SECONDS", 0.05)
    customer = make_principal(bucket=RIGHT)
    # given a request that broke off because its database was lost
    act(doing(UnavailableError(detail="later")))
    with monkeypatch.context() as lost:
        lost.setattr(*cut_off)
        assert send(customer).status_code == 503
    [held] = claims()
    # when the database is back, its repetition does not wait for the end of the lease
    act(place)
    eventually(lambda: send(customer).status_code != 409)
    answer = send(customer)
    assert (answer.status_code, answer.json()["id"], parcels()) == (201, str(held.resource_id), 1)


def test_who_was_taken_over_does_not_overwrite_the_answer(customer, act):
    """Given a request so slow that another one has taken its claim and finished."""
    fast = []

    def slow(request):
        lapse()
        act(place)
        fast.append(send(customer))
        return JsonResponse({"slow": True}, status=201)

    act(slow)
    send(customer)
    assert fast[0].status_code == 201
    assert send(customer).content == fast[0].content


@pytest.mark.parametrize("status", [422, 500])
def test_who_was_taken_over_does_not_drop_the_claim(customer, act, status):
    def slow(request):
        lapse()
        act(place)
        send(customer)
        return HttpResponse(status=status)

    act(slow)
    send(customer)
    assert [row.state for row in claims()] == ["done"]


@COMMITTING
def test_the_answer_is_stored_in_the_effects_transaction(act):
    """Given a process that dies right after the commit, before anything else."""
    customer = make_principal(bucket=RIGHT)

    def die_after(request):
        place(request)
        raise Broken

    act(die_after)
    first = send(customer)
    assert (first.status_code, [row.state for row in claims()]) == (201, ["done"])
    act(place)
    assert send(customer).content == first.content
    assert edge.Act.calls == 1


@COMMITTING
def test_an_answer_whose_transaction_rolled_back_is_not_given():
    """Given a use case that keeps its answer and then fails within the same transaction."""
    customer = make_principal(bucket=RIGHT)

    def fail_within(request):
        with shard_atomic(CONTEXT, request.principal.key):
            place(request)
            raise ConflictError(detail="after all not")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge.Act, "now", staticmethod(fail_within))
        first = send(customer)
    assert (first.status_code, parcels()) == (409, 0)
    assert send(customer).content == first.content


@COMMITTING
def test_many_copies_at_once_make_one_thing(in_threads):
    customer = make_principal(bucket=LEFT)

    def ask():
        while (answer := send(customer)).status_code == 409:
            assert answer["Retry-After"] == "1"
        return answer

    answers = in_threads(*[ask] * 5)
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert (parcels(), edge.Act.calls) == (1, 1)


def test_more_old_claims_than_a_batch_are_forgotten_in_one_go(customer, monkeypatch):
    monkeypatch.setattr(idempotency, "BATCH", 2)
    for number in range(5):
        send(customer, key=f"k{number}")
    for alias in ALIASES:
        IdempotencyClaim.objects.using(alias).update(created_at=datetime.now(UTC) - timedelta(hours=25))
    assert forget_old_claims(CONTEXT) == 5
    assert claims() == []


def test_old_claims_are_forgotten_and_young_ones_are_not(customer):
    send(customer)
    assert forget_old_claims(CONTEXT) == 0
    change_claim(created_at=datetime.now(UTC) - timedelta(hours=25))
    assert forget_old_claims(CONTEXT) == 1
    assert claims() == []
