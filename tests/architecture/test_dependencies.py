"""Each dependency is pinned, stands there for a reason, and is locked in the same version."""

import re
import tomllib

import pytest

from tests.architecture.tree import ROOT

pytestmark = pytest.mark.once

PYPROJECT = (ROOT / "pyproject.toml").read_text()
LOCK = (ROOT / "requirements.lock").read_text()


def dependencies(pyproject: str) -> list[str]:
    project = tomllib.loads(pyproject)["project"]
    return [
        *project["dependencies"],
        *(line for group in project["optional-dependencies"].values() for line in group),
    ]


def unreasoned(pyproject: str) -> list[str]:
    """Dependencies without a comment of at least two words on their line."""
    return [
        line
        for line in dependencies(pyproject)
        if not re.search(rf'^ *"{re.escape(line)}", *# *\S+ \S+', pyproject, re.M)
    ]


def unpinned(pyproject: str) -> list[str]:
    return [line for line in dependencies(pyproject) if not re.fullmatch(r"[a-z0-9-]+(\[[a-z,]+\])?==[0-9.]+", line)]


def not_locked(pyproject: str, lock: str) -> list[str]:
    locked = set(re.findall(r"^\S+==\S+", lock, re.M))
    return [line for line in dependencies(pyproject) if re.sub(r"\[.*\]", "", line) not in locked]


def hostless(lock: str) -> bool:
    return not re.search(r"://|^-", lock, re.M)


def with_dependency(line: str) -> str:
    """A project file with one good dependency and the given one."""
    good = '"six==1.17.0", # asked by nobody'
    return f"[project]\ndependencies = [\n  {good}\n  {line}\n]\noptional-dependencies = {{}}\n"


def test_every_dependency_has_its_reason():
    assert len(dependencies(PYPROJECT)) > 20
    assert unreasoned(PYPROJECT) == []


@pytest.mark.parametrize("line", ['"tea==1.0",', '"tea==1.0", #', '"tea==1.0", # tea'])
def test_a_dependency_without_reason_is_named(line: str):
    assert unreasoned(with_dependency(line)) == ["tea==1.0"]


def test_every_dependency_is_pinned():
    assert unpinned(PYPROJECT) == []


@pytest.mark.parametrize("line", ["tea", "tea>=1.0", "tea==1.*", "tea~=1.0"])
def test_a_loose_dependency_is_named(line: str):
    assert unpinned(with_dependency(f'"{line}", # for thirsty readers')) == [line]


def test_the_lock_holds_every_dependency_in_its_version():
    assert not_locked(PYPROJECT, LOCK) == []


@pytest.mark.parametrize("lock", ["", "six==1.17.0 \\\n    --hash=sha256:0\ntea==1.1 \\\n"])
def test_a_lock_that_lags_is_named(lock: str):
    assert "tea==1.0" in not_locked(with_dependency('"tea==1.0", # for thirsty readers'), lock)


def test_every_locked_release_has_hashes():
    pins = re.split(r"^(?=\S+==)", LOCK, flags=re.M)[1:]
    assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_the_lock_names_no_package_index():
    assert hostless(LOCK)


@pytest.mark.parametrize(
    "line", ["--index-url https://packages.example/simple", "--find-links wheels", "# from file:///x"]
)
def test_a_lock_that_names_one_is_seen(line: str):
    assert not hostless(f"{line}\nsix==1.17.0\n")
