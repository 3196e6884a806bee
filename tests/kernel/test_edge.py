"""The way of a request: checks in their order, a problem for every error, a trace on every answer, one log line."""

import io
import json
import logging
import re
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from django.test import Client, RequestFactory

from shop import contract
from shop.contract import Fault, UnavailableError
from shop.gateway import routes, tokens
from shop.gateway.wsgi import Application
from shop.http.problems import MalformedRequest
from shop.sharding import MixedShards, ShardUnavailable
from shop.sharding.public_ids import public_id
from tests.kernel import edge
from tests.kernel.probes import ALIASES
from tests.plugin import bearer, make_principal

pytestmark = pytest.mark.django_db(databases=ALIASES)

JSON = "application/json"
PERSONAL = "a.person@example.com"


@pytest.fixture(autouse=True)
def table(monkeypatch, settings):
    settings.ROOT_URLCONF = "tests.kernel.edge"
    monkeypatch.setattr(routes, "_table", {})
    monkeypatch.setattr(routes, "_contexts", {})
    monkeypatch.setattr(edge.Act, "now", staticmethod(edge.plain), raising=False)
    monkeypatch.setattr(edge.Act, "calls", 0)
    routes.register("catalog", edge.PREFIX, edge.ROUTES)


@pytest.fixture
def client():
    return Client(HTTP_HOST="localhost", raise_request_exception=False)


@pytest.fixture
def act(monkeypatch):
    """Let the views do this."""

    def set_to(what):
        def do(request):
            if isinstance(what, BaseException):
                raise what
            return what(request)

        monkeypatch.setattr(edge.Act, "now", staticmethod(do))

    return set_to


@pytest.fixture
def lines():
    """Log lines as they would leave the process."""
    root = logging.getLogger()
    formatter = next(h.formatter for h in root.handlers if "ProcessorFormatter" in type(h.formatter).__name__)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)


def checked(answer, status, code):
    """The problem, complete and with its trace."""
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), answer.content
    body = answer.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:shop:problem:{code}")
    assert answer["X-Request-ID"] == body["trace_id"]
    assert re.fullmatch("[0-9a-f]{32}", body["trace_id"])
    assert answer["Cache-Control"] == "no-store"
    return body


def post(client, where, body=b"{}", content_type=JSON, **headers):
    return client.generic("POST", f"/edge/{where}", body, content_type=content_type, **headers)


# ---- problems ------------------------------------------------------------------------------------------------

STATUS = {
    "InvalidError": 422,
    "MalformedError": 400,
    "UnauthenticatedError": 401,
    "DeclinedError": 402,
    "ForbiddenError": 403,
    "NotFoundError": 404,
    "ConflictError": 409,
    "CommandKeyReusedError": 409,
    "PreconditionError": 412,
    "UnavailableError": 503,
    "ServiceUnavailable": 503,
    "DeadlineExceeded": 503,
    "CircuitOpen": 503,
    "ContractMismatch": 503,
    "OutcomeUnknown": 503,
}
OURS = {"ContextError", "RemoteFault", "NotAuthorized"}


def test_the_tables_name_every_error_class():
    known = {
        name
        for name, kind in vars(contract).items()
        if isinstance(kind, type) and issubclass(kind, contract.ContextError)
    }
    assert known == STATUS.keys() | OURS


@pytest.mark.parametrize(("name", "status"), STATUS.items(), ids=STATUS)
def test_every_expected_error_has_its_status(name, status, client, act):
    kind = getattr(contract, name)
    act(kind(detail="told", faults=(Fault(field="lines.0", code="short", detail="few", available=3),)))
    answer = client.get("/edge/orders")
    body = checked(answer, status, kind.code)
    assert body["detail"] == "told"
    assert body["errors"] == [{"field": "lines.0", "code": "short", "detail": "few", "available": 3}]
    assert ("Retry-After" in answer) == (status == 503)
    assert ("WWW-Authenticate" in answer) == (status == 401)


BUGS = {
    **{name: getattr(contract, name)(detail=PERSONAL) for name in OURS},
    "bug": ValueError(PERSONAL),
    "routing": MixedShards(PERSONAL),
    "integrity": IntegrityError(f"duplicate key\nDETAIL:  Key (email)=({PERSONAL}) already exists."),
    "deep": RecursionError(PERSONAL),
}


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_what_is_ours_is_500_without_detail(bug, client, act):
    act(bug)
    answer = client.get("/edge/orders")
    body = checked(answer, 500, "internal_error")
    assert PERSONAL not in answer.content.decode()
    assert "errors" not in body


OTHERS = {
    "no such page": (Http404(PERSONAL), 404, "not_found"),
    "locked": (OperationalError(PERSONAL), 503, "unavailable"),
    "connection": (InterfaceError(PERSONAL), 503, "unavailable"),
    "shard": (ShardUnavailable(detail="a shard"), 503, "shard_unavailable"),
    "edge": (MalformedRequest(415, "unsupported_media_type", "no"), 415, "unsupported_media_type"),
}


@pytest.mark.parametrize(("error", "status", "code"), OTHERS.values(), ids=OTHERS)
def test_other_errors_are_problems_too(error, status, code, client, act):
    act(error)
    answer = client.get("/edge/orders")
    checked(answer, status, code)
    assert PERSONAL not in answer.content.decode()


def test_an_error_outside_the_route_table_is_a_problem(client, act):
    act(ValueError(PERSONAL))
    assert PERSONAL not in client.get("/outside").content.decode()
    checked(client.get("/outside"), 500, "internal_error")
    checked(client.get("/nowhere"), 404, "not_found")
    checked(client.get("/edge/orders", HTTP_HOST="evil.example"), 400, "bad_request")


def test_head_is_answered_like_get_and_seen_as_head(client, act, lines):
    seen = []

    def view(request):
        seen.append(request.method)
        return HttpResponse(b"tea")

    act(view)
    assert client.head("/edge/public/tea").status_code == 200
    assert client.head("/edge/stock").status_code == 401
    assert client.head("/edge/notes")["Allow"] == "POST"
    assert seen == ["GET"]
    assert [line["method"] for line in lines() if line["event"] == "request"] == ["HEAD"] * 3


def test_a_wrong_method_names_the_right_ones(client):
    answer = client.delete("/edge/orders")
    checked(answer, 405, "method_not_allowed")
    assert answer["Allow"] == "GET, HEAD, POST"
    assert edge.Act.calls == 0


def test_faults_of_a_body_carry_their_path(client):
    body = {"name": "too long", "lines": [{"amount": 1, "currency": "EUR"}, {"amount": 0}], "odd": 1}
    problem = checked(post(client, "shaped", json.dumps(body)), 422, "unknown_field")
    assert [(e["field"], e["code"]) for e in problem["errors"]] == [("odd", "unknown_field")]
    del body["odd"]
    problem = checked(post(client, "shaped", json.dumps(body)), 422, "invalid")
    assert sorted((e["field"], e["code"]) for e in problem["errors"]) == [
        ("lines.1.amount", "min_value"),
        ("lines.1.currency", "required"),
        ("name", "max_length"),
    ]


@pytest.mark.parametrize("body", ["[]", "1", '"x"', "null", "true"])
def test_a_body_that_is_no_object_is_invalid(body, client):
    checked(post(client, "shaped", body), 422, "invalid")


# ---- bodies --------------------------------------------------------------------------------------------------

NOT_JSON = {
    "cut off": b'{"name": "te',
    "two values": b"{} {}",
    "NaN": b'{"count": NaN}',
    "Infinity": b'{"count": -Infinity}',
    "beyond any number": b'{"anything": 1e999}',
    "NUL": b'{"name": "\\u0000"}',
    "NUL in a key": b'{"a\\u0000": 1}',
    "half a character": b'{"name": "\\ud800"}',
    "half a character in a list": b'{"anything": ["\\udfff"]}',
    "not UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "deep": b"[" * 100_000,
    "deep and closed": b"[" * 50_000 + b"]" * 50_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a number of thousands of digits": b'{"count": ' + b"9" * 5_000 + b"}",
    "raw control character": b'{"name": "\x01"}',
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_no_storable_json_is_malformed(body, client):
    checked(post(client, "shaped", body), 400, "malformed_json")


def test_no_body_is_malformed_too(client):
    checked(post(client, "shaped", b"", CONTENT_TYPE=JSON), 400, "malformed_json")


@pytest.mark.parametrize("depth", [3, 30, 90, 110, 200, 900, 990, 1_500, 2_500, 4_000, 9_000])
@pytest.mark.parametrize("pair", ["[]", '{"a":1}'], ids=["lists", "objects"])
def test_no_depth_is_a_fault_of_ours(depth, pair, client):
    inner, outer = ("[" * depth, "]" * depth) if pair == "[]" else ('{"a":' * depth + "1", "}" * depth)
    answer = post(client, "shaped", f'{{"name": "tea", "anything": {inner}{outer}}}')
    assert answer.status_code in {200, 400}, answer.content
    assert (answer.status_code == 200) == (depth < 100)


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_another_media_type_is_refused(media, client):
    checked(post(client, "shaped", b'{"name": "tea"}', content_type=media), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media",
    [
        "text/plain; charset=rot13",
        "text/plain; charset=undefined",
        "text/plain; x*=nonsense''y",
        "a/b; c=" + "d" * 20_000,
    ],
    ids=["no charset of texts", "undefined", "a parameter in no charset", "long"],
)
def test_a_media_type_can_not_break_the_server(media):
    # given the application as a server calls it
    told = []
    environ = RequestFactory(HTTP_HOST="localhost").get("/edge/orders?limit=1").environ | {"CONTENT_TYPE": media}
    # when a request comes with that media type
    body = b"".join(Application()(environ, lambda status, headers: told.append((status, dict(headers)))))
    # then it is answered like any other
    [(status, headers)] = told
    assert (status, json.loads(body)) == ("200 OK", {"n": 1})
    assert headers["X-Request-ID"]


@pytest.mark.parametrize(("body", "status"), [(b'{"name": "tea"}', "200 OK"), (b" " * ((1 << 20) + 1), "413")])
def test_a_body_may_come_in_chunks(body, status):
    # given a request whose length nobody told
    told = []
    environ = RequestFactory(HTTP_HOST="localhost").post("/edge/shaped", content_type=JSON).environ
    environ |= {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(body)}
    # then its body is read like any other, up to the limit
    b"".join(Application()(environ, lambda line, headers: told.append(line)))
    assert told[0].startswith(status)


@pytest.mark.parametrize("media", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_json_however_it_is_written(media, client):
    assert post(client, "shaped", b'{"name": "tea"}', content_type=media).status_code == 200


def test_one_mebibyte_is_enough(client):
    def sized(size):
        return b'{"name": "tea"' + b" " * (size - 15) + b"}"

    assert len(sized(1 << 20)) == 1 << 20
    assert post(client, "shaped", sized(1 << 20)).status_code == 200
    checked(post(client, "shaped", sized((1 << 20) + 1)), 413, "body_too_large")
    checked(client.generic("GET", "/edge/orders", sized((1 << 20) + 1)), 413, "body_too_large")


# ---- who may ---------------------------------------------------------------------------------------------------


def token_of(**changes):
    """A token that is right but for ``changes``."""
    good = jwt.decode(tokens.mint(make_principal()), options={"verify_signature": False})
    ring = tokens.key_ring()
    claims = {name: value for name, value in {**good, **changes}.items() if value is not None}
    return jwt.encode(claims, ring.private[ring.signing], algorithm="ES256", headers={"kid": ring.signing})


FORGED = {
    "no token": lambda: "x",
    "empty": lambda: "",
    "none": lambda: jwt.encode({"sub": "cus_1"}, "", algorithm="none", headers={"kid": tokens.key_ring().signing}),
    "another key": lambda: jwt.encode(
        jwt.decode(tokens.mint(make_principal()), options={"verify_signature": False}),
        ec.generate_private_key(ec.SECP256R1()),
        algorithm="ES256",
        headers={"kid": tokens.key_ring().signing},
    ),
    "cut": lambda: tokens.mint(make_principal())[:-2],
    "another issuer": lambda: token_of(iss="shap"),
    "another audience": lambda: token_of(aud="admin"),
    "no subject": lambda: token_of(sub=None),
    "another kind of subject": lambda: token_of(sub="prd_00000000000000"),
    "no session": lambda: token_of(sid=None),
    "unknown role": lambda: token_of(role="root"),
    "roles that are none": lambda: token_of(roles="superuser"),
    "another use": lambda: token_of(token_type="refresh"),
    "never ends": lambda: token_of(exp=None),
    "very long": lambda: "x" * 5_000,
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("where", ["orders", "stock"])
def test_a_forged_token_is_refused_even_where_none_is_needed(forged, where, client):
    answer = client.get(f"/edge/{where}", HTTP_AUTHORIZATION=f"Bearer {forged()}")
    checked(answer, 401, "token_invalid")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_an_old_token_is_told_so(client):
    old = token_of(exp=int(time.time()) - 10)
    checked(client.get("/edge/orders", HTTP_AUTHORIZATION=f"Bearer {old}"), 401, "token_expired")


def test_a_token_that_was_remembered_still_ends(client):
    short = {"HTTP_AUTHORIZATION": f"Bearer {token_of(exp=int(time.time()) + 2)}"}
    assert client.get("/edge/orders", **short).status_code == 200
    time.sleep(2.1)
    checked(client.get("/edge/orders", **short), 401, "token_expired")


def test_another_scheme_is_no_sign_in(client):
    checked(client.get("/edge/orders", HTTP_AUTHORIZATION="Basic eDp5"), 401, "not_authenticated")


EDITOR, CLERK, BOSS, NOBODY = ("catalog_editor",), ("order_desk",), ("superuser",), ()
ADMITTED = [
    ("GET", "orders", None, 200),
    ("GET", "orders", ("customer", ()), 200),
    ("GET", "orders", ("staff", NOBODY), 200),
    ("GET", "public/x", None, 200),
    ("POST", "notes", None, 401),
    ("POST", "notes", ("customer", ()), 200),
    ("POST", "notes", ("staff", CLERK), 200),
    ("POST", "notes", ("staff", NOBODY), 403),
    ("POST", "orders", None, 401),
    ("POST", "orders", ("customer", ()), 200),
    ("POST", "orders", ("staff", BOSS), 403),
    ("GET", "stock", None, 401),
    ("GET", "stock", ("customer", ()), 403),
    ("GET", "stock", ("staff", CLERK), 200),
    ("GET", "stock", ("staff", NOBODY), 403),
    ("POST", "stock", ("customer", ()), 403),
    ("POST", "stock", ("staff", CLERK), 403),
    ("POST", "stock", ("staff", EDITOR), 200),
    ("POST", "stock", ("staff", BOSS), 200),
]


@pytest.mark.parametrize(("method", "where", "who", "status"), ADMITTED)
def test_who_may_do_what(method, where, who, status, client):
    headers = bearer(make_principal(who[0], *who[1])) if who else {}
    answer = client.generic(method, f"/edge/{where}", b"{}", content_type=JSON, HTTP_IDEMPOTENCY_KEY="k", **headers)
    assert answer.status_code == status, answer.content
    assert edge.Act.calls == (status == 200)


def test_a_token_is_not_looked_at_where_anyone_may(client):
    assert client.get("/edge/public/x", HTTP_AUTHORIZATION="Bearer x").status_code == 200


# ---- order of the checks -------------------------------------------------------------------------------------


def test_the_checks_come_in_the_promised_order(client):
    """Given a request that is wrong in every way, when its faults are mended one by one."""
    staff, customer = bearer(make_principal("staff", "superuser")), bearer(make_principal())
    big = b"x" * ((1 << 20) + 1)
    checked(client.put("/edge/orders", big, content_type="text/plain"), 405, "method_not_allowed")
    checked(post(client, "orders", big, "text/plain"), 413, "body_too_large")
    checked(post(client, "orders", b"x", "text/plain"), 415, "unsupported_media_type")
    checked(post(client, "orders", b"x"), 400, "malformed_json")
    checked(post(client, "orders", b"{}"), 401, "not_authenticated")
    checked(post(client, "orders", b"{}", HTTP_AUTHORIZATION="Bearer x"), 401, "token_invalid")
    checked(post(client, "orders", b"{}", **staff), 403, "forbidden")
    checked(post(client, "orders", b"{}", **customer), 400, "idempotency_key_required")
    assert edge.Act.calls == 0
    assert post(client, "orders", b"{}", **customer, HTTP_IDEMPOTENCY_KEY="k").status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "tab\there"])
def test_a_key_that_is_none_is_refused(key, client):
    answer = post(client, "orders", **bearer(make_principal()), HTTP_IDEMPOTENCY_KEY=key)
    checked(answer, 400, "idempotency_key_required")


# ---- trace and log -------------------------------------------------------------------------------------------


def test_every_request_has_a_trace_of_its_own_and_never_the_clients(client):
    theirs = "0123456789abcdef0123456789abcdef"
    headers = {"HTTP_X_REQUEST_ID": theirs, "HTTP_TRACEPARENT": f"00-{theirs}-0123456789abcdef-01"}
    seen = {client.get("/edge/orders", **headers)["X-Request-ID"] for _ in range(3)}
    assert len(seen) == 3
    assert theirs not in seen


def test_a_request_is_one_json_line_without_personal_data(client, lines):
    principal = make_principal()
    answer = client.get(f"/edge/public/{PERSONAL}?email={PERSONAL}", HTTP_USER_AGENT=PERSONAL)
    [line] = [line for line in lines() if line["event"] == "request"]
    assert line["trace_id"] == answer["X-Request-ID"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "edge/public/<name>", 200)
    assert PERSONAL not in json.dumps(lines())
    client.get("/edge/orders", **bearer(principal))
    assert lines()[-1]["principal"] == public_id("cus", principal.key)


@pytest.mark.parametrize("who", [None, "customer"])
def test_the_line_says_the_context(who, client, lines):
    client.get("/edge/orders", **(bearer(make_principal()) if who else {}))
    client.get("/outside")
    assert [line.get("context", "") for line in lines() if line["event"] == "request"] == ["catalog", ""]


def test_an_unexpected_error_is_logged_with_its_trace_and_without_locals(client, act, lines):
    def fail(request):
        password = "hunter2-hunter2"
        raise ValueError(len(password))

    act(fail)
    answer = client.get("/edge/orders")
    [line] = [line for line in lines() if line["event"] == "unhandled_error"]
    assert (line["error"], line["trace_id"]) == ("ValueError", answer["X-Request-ID"])
    assert "hunter2" not in json.dumps(lines())


def test_a_database_that_repeats_a_value_does_not_bring_it_into_the_log(client, act, lines):
    act(BUGS["integrity"])
    client.get("/edge/orders")
    assert [line["error"] for line in lines() if line["event"] == "unhandled_error"] == ["IntegrityError"]
    assert PERSONAL not in json.dumps(lines())


def test_an_unavailable_database_is_logged_without_its_words(client, act, lines):
    act(OperationalError(PERSONAL))
    client.get("/edge/orders")
    assert [line["event"] for line in lines()] == ["database_unavailable", "request"]
    assert PERSONAL not in json.dumps(lines())


def test_an_answer_of_a_view_is_left_as_it_is(client, act):
    act(lambda request: HttpResponse(b"\x00\xff", content_type="image/x", headers={"X-Own": "1"}))
    answer = client.get("/edge/orders")
    assert (answer.content, answer["Content-Type"], answer["X-Own"]) == (b"\x00\xff", "image/x", "1")
    assert "X-Request-ID" in answer


def test_later_means_retry_after(client, act):
    act(UnavailableError())
    assert client.get("/edge/orders")["Retry-After"] == "1"
