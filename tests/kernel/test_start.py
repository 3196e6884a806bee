"""Processes as the environment makes them: each context alone, wrong settings, the kernel's commands."""

import json

import pytest

from tests.kernel.processes import clean_environment, manage, result, start

pytestmark = pytest.mark.once

SECRET = "s3cret"
READY = """
import json
from django.apps import apps
from django.conf import settings
from django.test import Client
client = Client(HTTP_HOST="localhost")
answer = client.get("/readyz")
print(json.dumps({
    "status": answer.status_code,
    "databases": answer.json()["databases"],
    "labels": sorted(c.label for c in apps.get_app_configs() if c.name.startswith("contexts.")),
    "aliases": list(settings.DATABASES),
    "pages": [client.get(path).status_code for path in ("/livez", "/", "/nowhere")],
}))
"""


@pytest.mark.parametrize("hosted", ["auth", "catalog", "ordering", "catalog,ordering", "auth,catalog,ordering"])
def test_any_contexts_check_migrate_and_answer_in_a_fresh_home(hosted, tmp_path):
    environment = clean_environment(tmp_path, CONTEXTS=hosted)
    names = hosted.split(",")
    aliases = [f"{name}_{n}" for name in names for n in range(2)]

    checked = manage("check", "--fail-level", "WARNING", environment=environment)
    assert checked.returncode == 0, checked.stderr
    migrated = manage("migrate", environment=environment)
    assert migrated.returncode == 0, migrated.stderr
    done = [line.split()[1].rstrip(":") for line in migrated.stdout.splitlines()]
    assert sorted(done) == sorted(aliases)
    assert set(done[: len(names)]) == {f"{name}_0" for name in names}

    seen = result(start(READY, environment))
    assert seen == {
        "status": 200,
        "databases": dict.fromkeys(aliases, "ok"),
        "labels": [f"shop_{name}" for name in names],
        "aliases": ["default", *aliases],
        "pages": [200, 200, 404],
    }


def test_before_the_first_migrate_it_is_alive_and_not_ready(tmp_path):
    seen = result(start(READY, clean_environment(tmp_path, CONTEXTS="catalog")))
    assert (seen["status"], seen["pages"]) == (503, [200, 200, 404])


WRONG = {
    "unknown context": ({"CONTEXTS": "catalog,billing"}, ["CONTEXTS"]),
    "no context": ({"CONTEXTS": ","}, ["CONTEXTS"]),
    "context twice": ({"CONTEXTS": "catalog,catalog"}, ["CONTEXTS"]),
    "URL of a hosted context": ({"CONTEXTS": "catalog", "CATALOG_URL": "http://h"}, ["CATALOG_URL"]),
    "URL that is none": ({"CONTEXTS": "ordering", "CATALOG_URL": "h:80"}, ["CATALOG_URL"]),
    "malformed databases": (
        {"CONTEXTS": "catalog", "CATALOG_DATABASES": f"mysql://u:{SECRET}@h/d,postgres://u:{SECRET}@h:x/d"},
        ["CATALOG_DATABASES", "CATALOG_DATABASES"],
    ),
    "malformed books of the fake provider": (
        {"CONTEXTS": "ordering", "FAKE_PROVIDER_DATABASE": f"mysql://u:{SECRET}@h/d"},
        ["FAKE_PROVIDER_DATABASE"],
    ),
    "no database": ({"CONTEXTS": "catalog", "CATALOG_DATABASES": ","}, ["CATALOG_DATABASES"]),
    "several at once": (
        {"CONTEXTS": "tea,catalog", "PORT": "http", "RELAY_PAUSED": "perhaps", "SERVICE_TRANSPORT": "pigeon"},
        ["CONTEXTS", "PORT", "RELAY_PAUSED", "SERVICE_TRANSPORT"],
    ),
}


@pytest.mark.parametrize(("variables", "names"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_one_line_each_and_exit_2(variables, names, tmp_path):
    done = manage("check", environment=clean_environment(tmp_path, **variables))
    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert sorted(line.split(": ")[:2] for line in lines) == sorted(["settings", name] for name in names)
    assert SECRET not in done.stderr + done.stdout


def test_an_unusable_home_is_a_line_too(tmp_path):
    (tmp_path / "file").write_text("")
    done = manage("check", environment=clean_environment(tmp_path / "file" / "home", CONTEXTS="catalog"))
    assert done.returncode == 2
    assert [line.split(": ")[:2] for line in done.stderr.splitlines()] == [["settings", "SHOP_HOME"]]


def test_secrets_are_made_once_for_their_owner_only(tmp_path):
    environment = clean_environment(tmp_path, CONTEXTS="catalog")
    manage("check", environment=environment)
    kept = (tmp_path / "secrets.json").read_text()
    manage("check", environment=environment)
    assert (tmp_path / "secrets.json").read_text() == kept
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert len(set(json.loads(kept).values())) == 3


def test_a_database_that_does_not_answer_is_named_by_migrate_without_its_password(tmp_path):
    url = f"postgres://u:{SECRET}@127.0.0.1:1/d"
    done = manage("migrate", environment=clean_environment(tmp_path, CONTEXTS="catalog", CATALOG_DATABASES=url))
    assert done.returncode == 2
    assert "catalog_0" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_a_database_that_does_not_answer_is_no_start_error(tmp_path):
    url = f"postgres://u:{SECRET}@127.0.0.1:1/d"
    seen = result(start(READY, clean_environment(tmp_path, CONTEXTS="catalog", CATALOG_DATABASES=url)))
    assert seen["status"] == 503
    assert seen["databases"] == {"catalog_0": "does not answer (OperationalError)"}
    assert seen["pages"] == [200, 200, 404]


@pytest.mark.parametrize(
    "command",
    [
        ("flush", "--noinput"),
        ("dumpdata",),
        ("loaddata", "x.json"),
        ("migrate", "shop"),
        ("migrate", "--plan"),
        ("migrate", "--fake"),
    ],
)
def test_commands_that_need_one_database_say_so(command, tmp_path):
    done = manage(*command, environment=clean_environment(tmp_path, CONTEXTS="catalog"))
    assert done.returncode == 2
    assert "--database" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
