"""Shell blocks of a page as one session: every `sh` block in its order, in one shell, as a reader would type them.

A comment above a block says what is known of it:

- ``<!-- ends in: placed -->``   the last line it prints; ``…`` stands for anything
- ``<!-- not run: it serves until Ctrl-C -->``   why no test runs it
- nothing: it must only succeed
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping

from tests.docs.pages import ROOT, Block, blocks, text_of

ENDS_IN, NOT_RUN = "ends in", "not run"
SECONDS = 300
PYTHON_OF_THE_SCRIPTS = ".venv/bin/python"  # the suite may run on another one


def shell_blocks(page: str) -> list[Block]:
    return [block for block in blocks(page, text_of(page)) if block.language == "sh"]


def run_blocks(page: str) -> list[Block]:
    return [block for block in shell_blocks(page) if block.noted(NOT_RUN) is None]


def faults_of(session: list[Block], environment: Mapping[str, str]) -> list[str]:
    """Run the blocks; what is wrong with what they did, block by block up to the first that failed."""
    parts = [f"{block.text}\nprintf '\\n<end of {block}>\\n'\n" for block in session]
    script = "".join(parts).replace(PYTHON_OF_THE_SCRIPTS, sys.executable)
    code, rest, told = _typed(script, environment)
    found: list[str] = []
    for block in session:
        printed, end, rest = rest.partition(f"\n<end of {block}>\n")
        if not end:
            return [*found, f"{block} failed ({code}): {printed[-1000:]}{told[-2000:]}"]
        expected = block.noted(ENDS_IN)
        last = (printed.strip().splitlines() or [""])[-1].strip()
        if expected is not None and not matches(expected, last):
            found.append(f"{block} ends in {last!r}, not {expected!r}")
    return found


def _typed(script: str, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Exit code, output and complaints of a shell; whatever it began ends with it."""
    shell = subprocess.Popen(
        ["/bin/sh", "-eu", "-c", script],
        cwd=ROOT,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, told = shell.communicate(timeout=SECONDS)
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    return shell.returncode, printed, told


def matches(expected: str, line: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, expected.split("…"))), line) is not None
