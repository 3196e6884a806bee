"""The page that adds a context is followed to the letter, in a copy of the houses: what it promises stands there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks, text_of

pytestmark = pytest.mark.once

PAGE = "docs/how-to/add-a-context.md"
EMPTY = ("__init__.py", "migrations/__init__.py", "tests/__init__.py")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.csv", "*.gz")


def follow(page: list[Block], root: Path) -> None:
    """Write the files that the blocks are, change the lines that they change."""
    for block in page:
        name = block.noted("file")
        if name is None:
            continue
        file = root / name
        if block.language == "diff":
            old, new = ("".join(line[1:] for line in block.text.splitlines(True) if line[0] == sign) for sign in "-+")
            before = file.read_text()
            assert before.count(old) == 1, f"{block}: {name} does not say so (any more)"
            file.write_text(before.replace(old, new))
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name in ("config", "contexts", "shop", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=LEFT_OUT)
    (tmp_path / "tests").mkdir()
    for file in [*ROOT.glob("tests/*.py"), ROOT / "manage.py", ROOT / "pyproject.toml"]:
        shutil.copy(file, tmp_path / file.relative_to(ROOT))
    follow(blocks(PAGE, text_of(PAGE)), tmp_path)
    for name in EMPTY:
        file = tmp_path / "contexts" / "support" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


def run(house: Path, *command: str, **more: str) -> str:
    """What a command of this environment says in the copy; it must succeed."""
    environment = {"PATH": os.environ["PATH"], "SHOP_HOME": str(house / "var"), "TMPDIR": str(house), **more}
    done = subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
    return done.stdout


def test_the_context_of_the_page_keeps_every_rule_and_passes_its_tests(house):
    beside = Path(sys.executable).parent
    # given the copy, when its migration is made, then the page's rooms are what the tools want them to be
    assert "Create model Message" in run(house, sys.executable, "manage.py", "makemigrations", "shop_support")
    assert "9 kept, 0 broken" in run(house, str(beside / "lint-imports"), "--no-cache")
    run(house, str(beside / "ruff"), "format", "contexts/support/migrations")
    for check in (("format", "--check"), ("check",)):
        run(house, str(beside / "ruff"), *check, "contexts/support")
    # and alone, on its own two databases, it passes its tests
    alone = {"CONTEXTS": "support", "SHOP_TEST_ENGINE": "sqlite"}
    tested = run(house, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "contexts/support", **alone)
    assert "5 passed" in tested
    # and beside the others its operations are in the API's document
    assert '"/api/v1/support/messages"' in run(house, sys.executable, "manage.py", "openapi")


def test_a_line_that_is_not_there_any_more_is_told(tmp_path):
    (tmp_path / "a.txt").write_text("new\n")
    block = Block(page="page.md", line=1, language="diff", note="file: a.txt", text="-old\n+new\n")
    with pytest.raises(AssertionError, match="does not say so"):
        follow([block], tmp_path)
