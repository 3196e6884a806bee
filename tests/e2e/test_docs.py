"""The page that shows the API, from a real server: everything it names is there, and nothing is from elsewhere."""

import re

import pytest


@pytest.fixture
def page(shop):
    answer = shop.call("GET", "/api/docs")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return answer.body.decode()


def test_every_file_that_the_page_names_is_served_by_ourselves(shop, page):
    named = re.findall(r'(?:src|href|data-document)="([^"]+)"', page)
    assert len(named) == 5
    for path in named:
        assert re.match("/[^/]", path), path
        answer = shop.call("GET", path)
        assert (answer.status, len(answer.body) > 100) == (200, True), path


def test_the_page_runs_no_script_of_its_own_and_styles_nothing_inline(page):
    assert all(not body.strip() for body in re.findall(r"<script[^>]*>(.*?)</script>", page, re.S))
    assert "<style" not in page
    assert re.search(r"\son\w+=|style=", page) is None


def test_the_files_of_the_page_fetch_nothing_from_elsewhere(shop, page):
    for path in re.findall(r'(?:src|href)="([^"]+(?:css|docs\.js))"', page):
        assert re.findall(rb"url\(['\"]?(?:https?:)?//|@import", shop.call("GET", path).body) == [], path


def test_the_admin_has_its_files_too(shop):
    login = shop.call("GET", "/admin/login/").body.decode()
    for path in re.findall(r'href="(/static/[^"]+\.css)"', login):
        answer = shop.call("GET", path)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/css"), path
    assert "/static/admin/" in login


def test_a_file_that_is_not_there_is_not_found(shop):
    assert shop.call("GET", "/static/shop/nothing.js").status == 404
    assert shop.call("GET", "/static/shop/../../settings.py").status == 404


def test_head_gives_the_head_of_get(shop):
    for path in ("/api/v1/catalog/products", "/api/v1/openapi.json", "/.well-known/jwks.json"):
        got, head = shop.call("GET", path), shop.call("HEAD", path)
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(got.body))), path
