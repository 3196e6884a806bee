"""Real processes for the kernel's tests: on the test's own databases, or as a shop of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connections

ROOT = Path(__file__).parents[2]
OURS = ("_DATABASES", "_URL", "DJANGO_SUPERUSER_")
SECONDS = 60


def clean_environment(home: Path | str, **variables: str) -> dict[str, str]:
    """The environment of a shop in ``home``, with nothing of this one's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not any(part in name for part in OURS)
        and name not in {"CONTEXTS", "SHOP_TEST_ENGINE", "DJANGO_SETTINGS_MODULE"}
    }
    return {**kept, "SHOP_HOME": str(home), "PYTHONPATH": str(ROOT), **variables}


def environment_here(*contexts: str) -> dict[str, str]:
    """The environment of a process that works on this test's databases."""
    urls = {
        f"{context.upper()}_DATABASES": ",".join(url_of(a) for a in connections if a.startswith(f"{context}_"))
        for context in contexts
    }
    return clean_environment(settings.SHOP_HOME, CONTEXTS=",".join(contexts), **urls)


def url_of(alias: str) -> str:
    """URL of a database as the environment wants it."""
    known = connections[alias].settings_dict
    if connections[alias].vendor == "sqlite":
        return f"sqlite:///{quote(str(known['NAME']))}"
    who = f"{quote(known['USER'])}:{quote(known['PASSWORD'])}" if known["PASSWORD"] else quote(known["USER"])
    return f"postgres://{who}@{known['HOST']}:{known['PORT']}/{known['NAME']}"


def start(script: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """A Python process that runs ``script`` with Django set up; its result is a last line of JSON."""
    prelude = (
        "import json, os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'\nimport django\ndjango.setup()\n"
    )
    return subprocess.Popen(  # noqa: S603  this Python, a script of the test
        [sys.executable, "-c", prelude + script],
        env=dict(environment),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process: subprocess.Popen[str]) -> Any:
    """What the process printed last, once it ended well."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1])


def begin(*arguments: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Begin ``manage.py``, beside others."""
    return subprocess.Popen(  # noqa: S603  this Python, this project
        [sys.executable, "manage.py", *arguments],
        env=dict(environment),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def manage(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` to its end."""
    return subprocess.run(  # noqa: S603  this Python, this project
        [sys.executable, "manage.py", *arguments],
        env=dict(environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
