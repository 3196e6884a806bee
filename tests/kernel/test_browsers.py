"""What browsers are told: policies on pages and answers, other origins, https, caches."""

import json
import re

import pytest
from corsheaders.middleware import CorsMiddleware

from config.limiting import rate_limits
from config.origins import allowed_origins, public_url
from shop.settings import Env
from shop.sharding import aliases_of
from shop.sharding.readiness import all_aliases
from shop.sharding.router import staff_home
from shop.staff.models import StaffUser
from tests.kernel.processes import clean_environment, manage, result, start
from tests.plugin import bearer, make_principal

pytestmark = pytest.mark.once

PAGE_POLICY = (
    "default-src 'self'; style-src 'self'{nonce}; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
INLINE = re.compile(rb"<script(?![^>]*\bsrc=)(?![^>]*application/json)|\son\w+=|\sstyle=|javascript:")
JSON = "application/json"
AUTH = list(aliases_of("auth"))


# ---- answers and pages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v1/ordering/orders", "/api/v1/nowhere", "/api/v1/auth/token"])
def test_an_answer_of_the_api_is_no_page(path, client):
    answer = client.get(path)
    assert answer["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (answer["X-Content-Type-Options"], answer["X-Frame-Options"]) == ("nosniff", "DENY")
    assert (answer["Referrer-Policy"], answer["Cross-Origin-Opener-Policy"]) == ("no-referrer", "same-origin")
    assert "Set-Cookie" not in answer


def test_the_page_that_shows_the_api_runs_what_comes_from_here_and_shows_its_own_icons(client):
    answer = client.get("/api/docs")
    assert answer["Content-Security-Policy"] == PAGE_POLICY.format(nonce="") + "; img-src 'self' data:"
    assert not INLINE.search(answer.content)


@pytest.mark.django_db(databases=AUTH)
@pytest.mark.parametrize("path", ["/admin/login/", "/livez", "/nowhere"])
def test_a_page_runs_only_what_comes_from_here(path, client):
    answer = client.get(path)
    policy = answer["Content-Security-Policy"]
    assert re.sub(r" 'nonce-[^']+'", "", policy) == PAGE_POLICY.format(nonce="")
    assert (answer["X-Content-Type-Options"], answer["X-Frame-Options"]) == ("nosniff", "DENY")
    assert not INLINE.search(answer.content)


@pytest.mark.django_db(databases=all_aliases())
def test_every_page_of_the_admin_keeps_to_its_policy(admin_pages):
    assert len(admin_pages) > 20
    for path, answer in admin_pages.items():
        assert answer.status_code == 200, path
        nonces = set(re.findall(r"'nonce-([^']+)'", answer["Content-Security-Policy"]))
        styles = re.findall(rb"<style([^>]*)>", answer.content)
        assert not INLINE.search(answer.content), path
        assert all(style.decode().strip() in {f'nonce="{nonce}"' for nonce in nonces} for style in styles), path


@pytest.fixture
def admin_pages(client):
    """The index, every list, and the page of the signed-in account, by path."""
    staff = StaffUser.objects.db_manager(staff_home()).create_superuser(email="a@example.org", password="x" * 12)
    client.force_login(staff)
    index = client.get("/admin/")
    lists = sorted(set(re.findall(r'href="(/admin/[a-z_]+/[a-z]+/)"', index.content.decode())))
    account = f"/admin/shop_staff/staffuser/{staff.pk}/change/"
    return {"/admin/": index, **{path: client.get(path) for path in (*lists, account)}}


@pytest.mark.django_db(databases=[*AUTH, *aliases_of("catalog")])
def test_what_needed_a_token_is_kept_by_no_cache(client):
    mine = client.get("/api/v1/auth/me/addresses", **bearer(make_principal()))
    assert mine["Cache-Control"] == "no-store"
    assert client.get("/api/v1/catalog/products", **bearer(make_principal()))["Cache-Control"] == "no-store"
    assert "Cache-Control" not in client.get("/api/v1/catalog/products")


@pytest.mark.django_db(databases=AUTH)
def test_what_is_answered_again_is_kept_by_no_cache_either(client):
    account = {"email": "ada@example.org", "password": "correct horse battery"}
    client.post("/api/v1/auth/register", account, content_type=JSON)
    access = client.post("/api/v1/auth/token", account, content_type=JSON).json()["access"]
    body = {"name": "Ada", "line1": "1", "city": "London", "postal_code": "N1", "country": "GB"}

    def add():
        return client.post(
            "/api/v1/auth/me/addresses",
            body,
            content_type=JSON,
            HTTP_IDEMPOTENCY_KEY="k",
            HTTP_AUTHORIZATION=f"Bearer {access}",
        )

    first, again = add(), add()
    assert (first.content, again["Idempotent-Replay"]) == (again.content, "true")
    assert first["Cache-Control"] == again["Cache-Control"] == "no-store"


# ---- other origins, https ------------------------------------------------------------------------------------

ASK = """
import json, sys
from django.test import Client
client = Client(HTTP_HOST="shop.example", HTTP_X_FORWARDED_PROTO="https")
origin = {"HTTP_ORIGIN": sys.stdin.readline().strip()}
wanted = {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "idempotency-key"}
def told(answer):
    return {"status": answer.status_code, **{name.lower(): value for name, value in answer.items()}}
print(json.dumps({
    "preflight": told(client.options("/api/v1/ordering/orders", **origin, **wanted)),
    "request": told(client.get("/api/v1/ordering/orders", **origin)),
    "metrics": told(client.get("/metrics", **origin)),
    "plain": told(Client(HTTP_HOST="shop.example").get("/api/v1/ordering/orders")),
    "plain livez": told(Client(HTTP_HOST="shop.example").get("/livez")),
    "plain keys": told(Client(HTTP_HOST="shop.example").get("/_svc/auth/v1/jwks")),
}))
"""


def ask(tmp_path, origin="https://app.example", **variables):
    process = start(ASK, clean_environment(tmp_path, PUBLIC_URL="https://shop.example", **variables))
    process.stdin.write(origin + "\n")
    process.stdin.flush()
    return result(process)


@pytest.mark.parametrize(
    ("allowed", "origin", "told"),
    [
        ("https://app.example,http://localhost:3000", "http://localhost:3000", "http://localhost:3000"),
        ("*", "https://anywhere.example", "*"),
        ("https://app.example", "https://app.example.evil.example", None),
        ("", "https://app.example", None),
    ],
)
def test_an_origin_that_is_allowed_is_told_so_before_anything_is_asked_of_it(allowed, origin, told, tmp_path):
    seen = ask(tmp_path, origin, CORS_ALLOWED_ORIGINS=allowed)
    assert [seen[way].get("access-control-allow-origin") for way in ("preflight", "request")] == [told, told]
    assert not any(name.startswith("access-control") for name in seen["metrics"])
    assert "access-control-allow-credentials" not in seen["request"]
    if told:
        assert seen["preflight"]["status"] == 200
        allowed_headers = set(seen["preflight"]["access-control-allow-headers"].split(", "))
        assert {"authorization", "idempotency-key", "if-match", "content-type"} <= allowed_headers
        exposed = set(seen["request"]["access-control-expose-headers"].split(", "))
        assert {"X-Request-ID", "ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "Idempotent-Replay"} <= exposed


def test_with_https_browsers_stay_there(tmp_path):
    seen = ask(tmp_path)
    assert seen["request"]["strict-transport-security"].startswith("max-age=31536000")
    assert (seen["plain"]["status"], seen["plain"]["location"]) == (
        301,
        "https://shop.example/api/v1/ordering/orders",
    )
    assert seen["plain livez"]["status"] == 200


def test_other_processes_of_the_shop_ask_without_https(tmp_path):
    assert ask(tmp_path, SERVICE_FACE="1")["plain keys"]["status"] == 200


# ---- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    ["app.example", "ftp://app.example", "https://app.example/", "https://a@b", "https://*.example", "https://h:x"],
)
def test_what_is_no_origin_is_told(given):
    env = Env({"CORS_ALLOWED_ORIGINS": given, "PUBLIC_URL": given.rstrip("/") + "/path"})
    allowed_origins(env)
    public_url(env)
    assert {fault.split(":")[0] for fault in env.problems} == {"CORS_ALLOWED_ORIGINS", "PUBLIC_URL"}


@pytest.mark.parametrize(
    "given",
    ["login", "login=", "login=10", "login=0/60", "login=10/0", "login=x/60", "tea=1/60", "login=-1/60", "=1/1"],
)
def test_what_is_no_limit_is_told(given):
    env = Env({"RATE_LIMITS": given})
    rate_limits(env)
    assert [fault.split(":")[0] for fault in env.problems] == ["RATE_LIMITS"]


def test_limits_have_defaults_one_by_one():
    usual = {"login": (10, 300), "auth": (600, 60), "reset": (5, 3600)}
    assert rate_limits(Env({})) == usual
    changed = rate_limits(Env({"RATE_LIMITS": "auth=off, read=5/1"}))
    assert changed == {"login": usual["login"], "reset": usual["reset"], "read": (5, 1)}


def test_settings_of_the_edge_that_are_wrong_are_told_at_once(tmp_path):
    wrong = {
        "CORS_ALLOWED_ORIGINS": "app.example",
        "PUBLIC_URL": "shop.example",
        "RATE_LIMITS": "login=often",
        "REDIS_URL": "localhost:6379",
        "SENTRY_DSN": "https://sentry.example/1",
        "SERVICE_KILL_SWITCH": "catalog.reserve,catalog.brew",
    }
    done = manage("check", environment=clean_environment(tmp_path, **wrong))
    assert done.returncode == 2
    assert {line.split(": ")[1] for line in done.stderr.splitlines()} == set(wrong)


def test_json_is_all_that_a_preflight_needs(client, settings):
    settings.MIDDLEWARE = [f"{CorsMiddleware.__module__}.{CorsMiddleware.__name__}", *settings.MIDDLEWARE]
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    answer = client.get("/api/v1/ordering/orders", HTTP_ORIGIN="https://app.example")
    assert json.loads(answer.content)["code"] == "not_authenticated"
    assert answer["Access-Control-Allow-Origin"] == "https://app.example"
