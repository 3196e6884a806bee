"""The import rules of pyproject.toml are green on the real tree, and each goes red on a planted line."""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.architecture.tree import ROOT, contexts, copy_of_the_houses, module_file, write

pytestmark = pytest.mark.once

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RULES = [contract["id"] for contract in PROJECT["tool"]["importlinter"]["contracts"]]

INSIDE_A_FUNCTION = "def planted():\n    import contexts.auth.models"
UNDER_TYPE_CHECKING = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import contexts.auth.models"

# (story, rule that must break, module to plant in, line)
VIOLATIONS = [
    ("services enter foreign models", "doors", "contexts.catalog.services", "import contexts.auth.models"),
    (
        "services enter foreign services",
        "doors",
        "contexts.catalog.services",
        "import contexts.auth.services",
    ),
    (
        "services enter a foreign domain",
        "doors",
        "contexts.ordering.services",
        "import contexts.catalog.domain",
    ),
    ("tests enter foreign models", "doors", "contexts.catalog.tests.test_x", "import contexts.auth.models"),
    ("tests enter foreign tests", "doors", "contexts.ordering.tests.test_x", "import contexts.catalog.tests"),
    (
        "migrations enter foreign models",
        "doors",
        "contexts.catalog.migrations.m0999",
        "import contexts.auth.models",
    ),
    ("admin enters foreign models", "doors", "contexts.ordering.admin", "import contexts.catalog.models"),
    ("inside a function", "doors", "contexts.catalog.services", INSIDE_A_FUNCTION),
    ("under TYPE_CHECKING", "doors", "contexts.catalog.services", UNDER_TYPE_CHECKING),
    ("relative", "doors", "contexts.catalog.tasks", "from ..auth import models"),
    ("kernel knows a context", "houses", "shop.events", "import contexts.catalog.contract"),
    ("kernel knows config", "houses", "shop.apps", "import config.settings"),
    ("context knows config", "houses", "contexts.catalog.settings", "import config.settings"),
    ("a context ships tests", "houses", "contexts.catalog.services", "import tests"),
    ("kernel ships tests", "houses", "shop.services", "import tests"),
    ("context tests know config", "houses", "contexts.auth.tests.test_x", "import config.urls"),
    ("circle", "streams", "contexts.catalog.services", "import contexts.ordering.contract"),
    ("circle from the source", "streams", "contexts.auth.tasks", "import contexts.catalog.contract"),
    ("circle through tests", "streams", "contexts.auth.tests.test_x", "import contexts.ordering.contract"),
    ("domain knows django", "pure", "contexts.ordering.domain", "import django.db"),
    ("domain knows pydantic", "pure", "contexts.ordering.domain", "import pydantic"),
    ("domain knows a kernel floor", "pure", "contexts.ordering.domain", "import shop.sharding"),
    ("domain knows its models", "rooms", "contexts.ordering.domain", "import contexts.ordering.models"),
    ("models call services", "rooms", "contexts.ordering.models", "import contexts.ordering.services"),
    ("api calls tasks", "rooms", "contexts.ordering.api", "import contexts.ordering.tasks"),
    ("services call api", "rooms", "contexts.auth.services", "import contexts.auth.api"),
    ("contract knows its domain", "rooms", "contexts.auth.contract", "import contexts.auth.domain"),
    ("stray room", "rooms", "contexts.catalog.utils", "import math"),
    ("contract knows django", "leaves", "contexts.catalog.contract", "import django.db"),
    ("contract knows kernel events", "leaves", "contexts.catalog.contract", "import shop.events"),
    ("contract knows pydantic", "leaves", "contexts.auth.contract", "import pydantic"),
    ("contract knows another", "no-chains", "contexts.ordering.contract", "import contexts.catalog.contract"),
    ("api reads tables", "thin-edges", "contexts.ordering.api", "import contexts.ordering.models"),
    ("tasks read tables", "thin-edges", "contexts.catalog.tasks", "import contexts.catalog.models"),
    (
        "a command reads tables",
        "thin-edges",
        "contexts.ordering.management.commands.fake_payments",
        "import contexts.ordering.models",
    ),
    (
        "services call a command",
        "rooms",
        "contexts.ordering.services",
        "import contexts.ordering.management.commands.fake_payments",
    ),
    ("floor looks up", "kernel", "shop.sharding", "import shop.events"),
    ("services look up to events", "kernel", "shop.services", "import shop.events"),
    ("contract looks beside", "kernel", "shop.contract", "import shop.settings"),
    ("stray floor", "kernel", "shop.helpers", "import math"),
]

ALLOWED = {
    "contexts.ordering.services": "import contexts.catalog.contract, contexts.auth.contract, shop.events",
    "contexts.catalog.tasks": "import contexts.auth.contract",
    "contexts.auth.domain": "import decimal, shop.contract, contexts.auth.contract",
    "contexts.auth.admin": "import contexts.auth.models",
    "contexts.auth.tests.test_x": "import tests.factories, contexts.auth.models, shop.services, django.test",
    "contexts.ordering.tests.test_x": "import contexts.catalog.contract",
    "tests.factories": "import shop.services",
    "tests.e2e": "import config.urls, contexts.ordering.services",
}


class House:
    """A copy of the three houses; what is planted can be taken out again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._before: dict[Path, str | None] = {}

    def plant(self, module: str, line: str) -> None:
        file = module_file(self.root, module)
        text = file.read_text() if file.exists() else None
        self._before.setdefault(file, text)
        write(file, f"{text or ''}\n{line}\n")

    def restore(self) -> None:
        for file, text in self._before.items():
            file.unlink() if text is None else file.write_text(text)
        self._before.clear()

    def lint(self, *rules: str) -> tuple[int, str]:
        """Exit code and report of import-linter; all rules unless some are named."""
        asked = [word for rule in rules for word in ("--contract", rule)]
        command = [str(LINT_IMPORTS), "--no-cache", "--no-logo", *asked]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_houses(tmp_path_factory.mktemp("houses"))


@pytest.fixture
def house(copy: Path) -> Iterator[House]:
    house = House(copy)
    yield house
    house.restore()


def test_the_real_tree_keeps_every_rule():
    code, report = House(ROOT).lint()
    assert (code, f"Contracts: {len(RULES)} kept, 0 broken." in report) == (0, True), report


def test_every_rule_has_a_violation_in_the_table():
    assert {rule for _, rule, _, _ in VIOLATIONS} == set(RULES)


@pytest.mark.parametrize(
    ("rule", "module", "line"), [row[1:] for row in VIOLATIONS], ids=[row[0] for row in VIOLATIONS]
)
def test_a_planted_line_breaks_its_rule(house: House, rule: str, module: str, line: str):
    # given a copy of the houses with one bad line in it
    house.plant(module, line)
    # when its rule is checked
    code, report = house.lint(rule)
    # then the rule is broken (not: could not be read), and the report names the module
    assert (code, "Contracts: 0 kept, 1 broken." in report) == (1, True), report
    assert module.rpartition(".")[2] in report.partition("Broken contracts")[2]


def test_a_detour_through_shared_tests_breaks_doors(house: House):
    # given shared test code that knows auth's inside, borrowed by a test of catalog
    house.plant("tests.borrowed", "import contexts.auth.services")
    house.plant("contexts.catalog.tests.test_x", "import tests.borrowed")
    code, report = house.lint("doors")
    assert (code, "tests.borrowed -> contexts.auth.services" in report) == (1, True), report


def test_what_house_rules_allow_stays_green(house: House):
    for module, line in ALLOWED.items():
        house.plant(module, line)
    code, report = house.lint()
    assert (code, f"Contracts: {len(RULES)} kept, 0 broken." in report) == (0, True), report


@pytest.mark.parametrize("leaver", [folder.name for folder in contexts(ROOT)])
def test_rules_stay_green_when_a_body_is_lifted_out(tmp_path: Path, leaver: str):
    # given a copy in which one context left only its door behind
    copy_of_the_houses(tmp_path)
    for room in (tmp_path / "contexts" / leaver).iterdir():
        if room.stem not in {"__init__", "contract"}:
            shutil.rmtree(room) if room.is_dir() else room.unlink()
    # then nobody else has to change a character
    code, report = House(tmp_path).lint()
    assert (code, f"Contracts: {len(RULES)} kept, 0 broken." in report) == (0, True), report


@pytest.mark.parametrize("rule", ["leaves", "pure"])
def test_every_dependency_is_closed_to_contracts_and_domains(rule: str):
    # given the modules that the runtime dependencies install
    forbidden = next(c for c in PROJECT["tool"]["importlinter"]["contracts"] if c["id"] == rule)["forbidden_modules"]
    direct = {Requirement(line).name.lower() for line in PROJECT["project"]["dependencies"]}
    modules = {
        module
        for module, owners in packages_distributions().items()
        if direct & {owner.lower().replace("_", "-") for owner in owners}
    }
    # then each is on the rule's list: forbidden modules can't be said as "all but the standard library"
    assert {"django", "ninja", "jwt"} <= modules
    assert modules - set(forbidden) == set()
