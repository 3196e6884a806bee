"""What no import graph sees, ruff closes (TID251): each banned name is flagged, the real tree is clean."""

import subprocess
import sys
import tomllib

import pytest

from tests.architecture.tree import ROOT

pytestmark = pytest.mark.once

LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
BANNED = LINTER["flake8-tidy-imports"]["banned-api"]

# (banned name, a way to write it): by its own name, through its module, under another name
PLANTS = [
    ("django.apps.apps.get_model", 'from django.apps import apps\n\napps.get_model("shop_auth", "Customer")'),
    (
        "django.apps.apps.get_model",
        'from django.apps import apps as a\n\nf = a.get_model\nf("shop_auth", "Customer")',
    ),
    ("importlib.import_module", 'import importlib\n\nimportlib.import_module("contexts.auth.models")'),
    ("importlib.import_module", "from importlib import import_module as load"),
    ("django.dispatch.receiver", "from django.dispatch import receiver"),
    ("django.dispatch.receiver", "from django import dispatch\n\ndispatch.receiver(print)"),
    ("django.db.models.signals", "from django.db.models.signals import post_save"),
    ("django.db.models.signals", "from django.db.models import signals"),
    ("django.db.models.signals", "from django.db import models\n\nmodels.signals.post_save.connect(print)"),
    ("django.db.models.expressions.RawSQL", "from django.db.models.expressions import RawSQL"),
    (
        "django.db.transaction.atomic",
        "from django.db import transaction\n\nwith transaction.atomic():\n    pass",
    ),
    ("django.db.transaction.atomic", "from django.db.transaction import atomic"),
    ("django.db.transaction.on_commit", "from django.db import transaction\n\ntransaction.on_commit(print)"),
    ("django.db.transaction.on_commit", "from django.db.transaction import on_commit"),
]


def ruff(*arguments: str, source: str | None = None) -> tuple[int, str]:
    """Exit code and report of ruff's banned names alone."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--select",
        "TID251",
        "--output-format",
        "concise",
        *arguments,
    ]
    done = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_real_tree_uses_no_banned_name():
    code, report = ruff("--ignore-noqa", ".")  # an exception stands in pyproject.toml, not at the line
    assert code == 0, report


def test_every_banned_name_has_a_plant():
    assert {name for name, _ in PLANTS} == set(BANNED)


@pytest.mark.parametrize(
    "file", ["contexts/catalog/services.py", "contexts/catalog/tests/test_services.py", "shop/events/x.py"]
)
@pytest.mark.parametrize(("name", "source"), PLANTS)
def test_a_banned_name_is_flagged_with_what_to_use_instead(file: str, name: str, source: str):
    # given a file of a context, of its tests, of the kernel
    code, report = ruff("--stdin-filename", file, "-", source=f"{source}\n")
    # then the linter names the banned name and the way out
    assert (code, f"`{name}` is banned: {BANNED[name]['msg']}" in report) == (1, True), report


def test_a_file_without_banned_names_passes():
    code, report = ruff(
        "--stdin-filename", "contexts/catalog/services.py", "-", source="from django.db import models\n"
    )
    assert code == 0, report


def test_exceptions_name_single_files():
    exempt = [pattern for pattern, codes in LINTER["per-file-ignores"].items() if {"TID", "TID251"} & set(codes)]
    assert [pattern for pattern in exempt if "*" in pattern or not pattern.endswith(".py")] == []
