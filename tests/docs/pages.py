"""The pages for people, README and `docs/`, as the tests see them: headings, links and fenced blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page.

    Attributes:
        note: What the HTML comment right above it says: what its output ends in, why it is not run, which file it is.
    """

    page: str
    line: int
    language: str
    note: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def noted(self, what: str) -> str | None:
        """What stands behind ``what:`` in the note; None where it says something else."""
        kind, separator, more = self.note.partition(":")
        return more.strip() if separator and kind == what else None


def pages() -> list[str]:
    """Every page, as a path from the root."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [str(page.relative_to(ROOT)) for page in found]


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def blocks(page: str, text: str) -> list[Block]:
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start("language")) + 1,
            language=found["language"],
            note=found["note"] or "",
            text=found["text"],
        )
        for found in FENCE.finditer(text)
    ]


def prose(text: str) -> str:
    """The page without its blocks and without words in backticks."""
    return CODE.sub("", FENCE.sub("", text))


def dead_links(page: Path, text: str) -> Iterator[str]:
    """Relative links that lead to no file, or to no heading of theirs."""
    for found in LINK.finditer(prose(text)):
        target = found["target"]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            yield f"{page.name}: {target}: there is no such file"
        elif anchor and anchor not in anchors(text if file == page else file.read_text()):
            yield f"{page.name}: {target}: there is no such heading"


def anchors(text: str) -> set[str]:
    """How headings are linked to: lower case, words joined by hyphens, everything else left out."""
    titles = (found["title"] for found in HEADING.finditer(FENCE.sub("", text)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
