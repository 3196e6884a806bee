"""Processes that are kept running: begun anew when they end, a moment later each time, and stopped together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
STOP_SECONDS: Final = 25.0
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 10.0
WELL_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.1
RENEWED_SECONDS: Final = 30.0
SETTLED_SECONDS: Final = 1.0
"""For the workers of a new server to load what only they need."""
WRONG_SETTING: Final = 2


class Kept:
    """One process, with all that it starts."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._command, self._environment = [sys.executable, *command], dict(environment)
        self._is_server = "serve" in command
        self._pause = FIRST_PAUSE_SECONDS
        self._leaving: subprocess.Popen[bytes] | None = None
        self._begin()

    def _begin(self, **more: str) -> None:
        self._began = time.monotonic()
        self._again_at: float | None = None
        self.process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment | more,
            stdout=sys.stderr,  # ours is for where everything is
            start_new_session=True,
        )

    def look(self) -> str:
        """Begin it anew if its time has come; what there is to tell, if anything.

        Raises:
            SystemExit: It says that a setting is wrong, which no new beginning changes.
        """
        code = self.process.poll()
        if code is None:
            return ""
        now = time.monotonic()
        if self._again_at is None:
            if code == WRONG_SETTING:
                raise SystemExit(WRONG_SETTING)
            self._pause = FIRST_PAUSE_SECONDS if now > self._began + WELL_SECONDS else self._pause
            self._again_at = now + self._pause
            return f"{self.name} ended ({code}), begins anew in {self._pause:.1f} s"
        if now >= self._again_at:
            self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2)
            self._begin()
        return ""

    def renew(self) -> bool:
        """Begin another one, and end this one once that is at work: servers share a port, so none has a pause.

        Returns whether it could be: where the new one ends at once, the old one goes on.
        """
        old, began = self.process, time.monotonic()
        self._leaving = old  # whoever stops us meanwhile stops both
        self._begin(SHARE_PORT="1")
        while time.monotonic() < began + RENEWED_SECONDS and self.process.poll() is None and not self._is_at_work():
            time.sleep(LOOK_SECONDS)
        time.sleep(SETTLED_SECONDS)
        if self.process.poll() is not None:
            self.process, self._leaving = old, None
            return False
        if old.poll() is None:
            old.send_signal(signal.SIGTERM)
            _end(old, time.monotonic() + STOP_SECONDS)
        self._leaving = None
        return True

    def _is_at_work(self) -> bool:
        """Whether a server has begun its workers, which answer from then on; nobody waits for anything else."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return not self._is_server or (children.exists() and bool(children.read_text().split()))

    def ask_to_stop(self) -> None:
        """SIGTERM: it finishes what it holds."""
        for process in self._all():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)

    def stop(self, until: float) -> None:
        """Wait for its end, at most ``until``; then end it and all that it has started."""
        for process in self._all():
            _end(process, until)

    def _all(self) -> "list[subprocess.Popen[bytes]]":
        return [self.process, *([self._leaving] if self._leaving else [])]


def _end(process: "subprocess.Popen[bytes]", until: float) -> None:
    try:
        process.wait(max(0.1, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def stop_all(kept: Sequence[Kept]) -> None:
    """Stop all at once, the last one begun first."""
    for each in reversed(kept):
        each.ask_to_stop()
    until = time.monotonic() + STOP_SECONDS
    for each in reversed(kept):
        each.stop(until)
