"""A run has as many shards as it is told, and says which tests it leaves out for having too few."""

import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tests.architecture.tree import ROOT

pytestmark = pytest.mark.once

STORIES = """
import pytest
from django.conf import settings
from tests.shards import needs_shards

def test_told_on_any_number():
    assert [alias for alias in settings.DATABASES if alias.startswith("auth_")] == [f"auth_{n}" for n in range(%d)]

@needs_shards(2, because="somebody else is there")
@pytest.mark.parametrize("way", ["there", "back"])
def test_told_with_another_one(way):
    pass

@needs_shards(3, because="two are away")
def test_told_with_two_others():
    pass
"""


def run(tmp_path, shards, *arguments):
    """Exit code, passed tests, what was said, what the report says was left out."""
    story, report = tmp_path / "test_story.py", tmp_path / "report.xml"
    story.write_text(STORIES % shards)
    environment = {**os.environ, "SHOP_TEST_ENGINE": "sqlite", "SHOP_TEST_SHARDS": str(shards)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={ROOT}",
        f"-c{ROOT}/pyproject.toml",
    ]
    done = subprocess.run(
        [*command, f"--junitxml={report}", str(story), *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    found = ElementTree.parse(report)  # noqa: S314  written by pytest, a moment ago
    left_out = [each.get("value") for each in found.iter("property") if each.get("name") == "needs_shards"]
    return done.returncode, len(list(found.iter("testcase"))), done.stdout, left_out


@pytest.mark.parametrize(
    ("shards", "told", "left_out", "reasons"),
    [
        (1, 1, "3", ["2 left out: needs 2 shards: somebody else is there", "1 left out: needs 3 shards: two are away"]),
        (2, 3, "1", ["1 left out: needs 3 shards: two are away"]),
        (3, 4, "0", []),
    ],
)
def test_what_too_few_shards_can_not_tell_is_left_out_and_counted(tmp_path, shards, told, left_out, reasons):
    code, passed, said, counted = run(tmp_path, shards)
    assert (code, passed, counted) == (0, told, [left_out]), said
    assert sorted(line for line in said.splitlines() if "left out" in line) == sorted(reasons)


def test_what_was_not_asked_for_is_not_left_out(tmp_path):
    assert run(tmp_path, 1, "-k", "any_number")[3] == ["0"]


@pytest.mark.parametrize("given", ["0", "17", "two", "1,x", "", ","])
def test_a_number_that_is_none_is_refused_before_anything_runs(given):
    command = [str(ROOT / "scripts" / "test"), "--shards", given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stdout) == (2, "")
    assert "must be numbers from 1 to 16" in done.stderr
