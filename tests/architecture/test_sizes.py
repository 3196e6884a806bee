"""Files stay readable in one sitting; scripts run and say what they do."""

from pathlib import Path

import pytest

from tests.architecture.shapes import CEILING, long_files, mute_scripts, source_files
from tests.architecture.tree import HOUSES, ROOT, write

pytestmark = pytest.mark.once


def test_real_files_of_every_house_are_read():
    assert {file.relative_to(ROOT).parts[0] for file in source_files(ROOT)} == set(HOUSES)


def test_no_file_is_longer_than_the_ceiling():
    assert long_files(ROOT) == []


@pytest.mark.parametrize("file", ["config/settings.py", "shop/events/relay.py", "contexts/tea/services.py"])
def test_a_longer_file_is_named(tmp_path: Path, file: str):
    write(tmp_path / file, "x = 1\n" * (CEILING + 1))
    assert long_files(tmp_path) == [f"{file} has {CEILING + 1} lines"]


def test_a_file_at_the_ceiling_passes_and_so_do_long_migrations_and_tests(tmp_path: Path):
    write(tmp_path / "shop" / "x.py", "x = 1\n" * CEILING)
    write(tmp_path / "contexts" / "tea" / "migrations" / "m0001.py", "x = 1\n" * 999)
    write(tmp_path / "contexts" / "tea" / "tests" / "test_x.py", "x = 1\n" * 999)
    assert long_files(tmp_path) == []


def test_every_script_runs_and_answers_help():
    assert mute_scripts(ROOT) == []


@pytest.mark.parametrize(
    ("text", "mode", "finding"),
    [
        ("#!/bin/sh\necho 'Usage: scripts/pour'\n", 0o644, "pour is not executable"),
        ("#!/bin/sh\nexit 1\n", 0o755, "pour does not answer --help"),
        ("#!/bin/sh\necho 'Usage: scripts/pour'\nexit 3\n", 0o755, "pour does not answer --help"),
        ("#!/bin/sh\necho pouring\n", 0o755, "pour does not answer --help"),
    ],
)
def test_a_mute_script_is_named(tmp_path: Path, text: str, mode: int, finding: str):
    write(tmp_path / "scripts" / "pour", text).chmod(mode)
    write(tmp_path / "scripts" / "environment", "# sourced\n")
    assert mute_scripts(tmp_path) == [finding]
