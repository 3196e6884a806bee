"""README and `docs/` are true where a program can tell: links, settings, commands, log lines, figures."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands

from tests.docs.pages import ROOT, dead_links, pages, text_of

pytestmark = pytest.mark.once

CONFIGURE, OPERATE = "docs/how-to/configure.md", "docs/how-to/operate.md"
NOBODYS = {"replay_stopped"}
"""Lines of commands that a person watches."""
RECORD = """
import shop.settings
read, text = set(), shop.settings.Env.text

def noted(env, name, default=""):
    read.add(name)
    return text(env, name, default)

shop.settings.Env.text = noted
import config.settings
print(*read)
"""


# ---- links ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages())
def test_every_link_of_a_page_leads_somewhere(page):
    assert list(dead_links(ROOT / page, text_of(page))) == []


@pytest.mark.parametrize("link", ["[x](nowhere.md)", "[x](README.md#no-such-heading)", "[x](#nor-this)"])
def test_a_dead_link_is_named(link):
    assert len(list(dead_links(ROOT / "README.md", f"# Heading\n\n{link}, [good](#heading), [good](LICENSE)"))) == 1


@pytest.mark.parametrize("index", ["docs/README.md", "docs/decisions/README.md"])
def test_an_index_names_every_page_below_it(index):
    folder = (ROOT / index).parent
    linked = {(folder / path).resolve() for path in re.findall(r"\]\(([^)#]+)\)", text_of(index))}
    deeper = "**/*.md" if folder.name == "docs" else "*.md"
    missing = {file for file in folder.glob(deeper) if file != ROOT / index} - linked
    assert {file for file in missing if index != "docs/README.md" or file.parent.name != "decisions"} == set()


# ---- settings and commands -----------------------------------------------------------------------------------


def settings_read(tmp_path: Path) -> set[str]:
    """Names that the settings ask the environment for in a test run on PostgreSQL, and those that commands ask for."""
    environment = {"PATH": os.environ["PATH"], "SHOP_TEST_ENGINE": "postgres", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", RECORD]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60)
    sources = [file.read_text() for house in ("config", "contexts", "shop") for file in (ROOT / house).rglob("*.py")]
    asked = re.compile(r"""os\.(?:environ(?:\.get)?|getenv)[(\[]["']([A-Z_]+)["']""")
    return {*done.stdout.split(), *(name for source in sources for name in asked.findall(source))}


def settings_documented() -> dict[str, str]:
    """Example by name."""
    found: dict[str, str] = {}
    for line in text_of(CONFIGURE).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            found |= dict.fromkeys(re.findall(r"`([A-Z_]+)`", cells[0]), cells[3])
    return found


def test_every_setting_is_documented_and_every_documented_one_is_read(tmp_path):
    assert set(settings_documented()) == settings_read(tmp_path)


def test_every_setting_has_an_example_in_its_row():
    rows = [line for line in text_of(CONFIGURE).splitlines() if line.startswith("| `")]
    for row in rows:
        names, *_, example = [cell.strip() for cell in row.strip("|").split("|")]
        assert any(f"{name}=" in example for name in re.findall(r"`([A-Z_]+)`", names)), row


def test_every_command_of_ours_is_told_of():
    ours = {name for name, app in get_commands().items() if app == "shop" or str(app).startswith("contexts.")}
    assert {"serve", "fake_payments"} <= ours
    text = "".join(text_of(page) for page in pages())
    assert {name for name in ours if f"manage.py {name}" not in text} == set()


# ---- what operators are told ---------------------------------------------------------------------------------


def sources() -> dict[str, ast.Module]:
    files = [file for house in ("config", "contexts", "shop") for file in (ROOT / house).rglob("*.py")]
    return {str(file): ast.parse(file.read_text()) for file in files if "tests" not in file.parts}


def told_at(levels: set[str]) -> set[str]:
    """Names of the lines that the code logs at one of these levels."""
    found: set[str] = set()
    for module in sources().values():
        for call in (node for node in ast.walk(module) if isinstance(node, ast.Call) and node.args):
            match call.func:
                case ast.Attribute(value=ast.Name(id="log"), attr=level) if level in levels:
                    found |= {str(each.value) for each in ast.walk(call.args[0]) if isinstance(each, ast.Constant)}
    return found


def lines_explained() -> set[str]:
    """Names in the first column of the page's table of log lines."""
    table = text_of(OPERATE).partition("## Logs")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}


def test_every_line_that_the_log_warns_with_is_explained_and_no_other():
    assert lines_explained() == told_at({"warning", "error", "exception", "critical"}) - NOBODYS


def test_every_figure_that_an_alarm_is_made_of_exists():
    declared = {
        node.value
        for module in sources().values()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and str(node.value).startswith("shop_")
    }
    named = {re.sub("_(count|bucket|sum)$", "", name) for name in re.findall(r"`(shop_[a-z_]+)", text_of(OPERATE))}
    assert len(named) > 8
    assert named - declared == set()
    assert {name for name in declared if name.startswith("shop_database_")} - named == set()
