"""Shell blocks: what is not run says why, what is run is seen when it fails."""

import os

import pytest

from tests.docs.pages import blocks, pages, prose, text_of
from tests.docs.sessions import NOT_RUN, faults_of, matches, shell_blocks

pytestmark = pytest.mark.once


def test_a_shell_block_that_is_not_run_says_why():
    left_out = [block for page in pages() for block in shell_blocks(page) if block.noted(NOT_RUN) is not None]
    assert [str(block) for block in left_out if len(block.noted(NOT_RUN).split()) < 4] == []


def test_notes_of_blocks_are_ones_we_know():
    notes = [b.note.partition(":")[0] for page in pages() for b in blocks(page, text_of(page)) if b.note]
    assert set(notes) <= {"ends in", NOT_RUN, "file"}
    comments = sum(prose(text_of(page)).count("<!--") for page in pages())
    assert comments == 0  # one that stands above no block would say nothing


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<!-- ends in: two -->\n```sh\necho one\n```\n", "ends in 'one', not 'two'"),
        ("```sh\nfalse\n```\n", "failed (1)"),
        ("```sh\necho $NOBODY_SET_THIS\n```\n", "failed (2)"),
    ],
)
def test_a_block_that_does_something_else_is_told(text, fault):
    [found] = faults_of(blocks("page.md", text), {"PATH": os.environ["PATH"]})
    assert fault in found


def test_blocks_of_a_page_share_a_shell():
    text = "```sh\nA=1\n```\n\n<!-- ends in: a 1 b -->\n```sh\necho a $A b\n```\n"
    assert faults_of(blocks("page.md", text), {"PATH": os.environ["PATH"]}) == []


def test_what_an_end_leaves_open_is_anything():
    assert matches("up to date (… s)", "up to date (0.3 s)")
    assert not matches("up to date (… s)", "2 applied (0.3 s)")
