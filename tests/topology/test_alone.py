"""Every context passes its own tests in a process that hosts nothing else."""

import os
import subprocess
import sys

import pytest

from config.hosting import KNOWN_CONTEXTS
from tests.e2e.shopserver import ROOT


@pytest.mark.parametrize("context", KNOWN_CONTEXTS)
def test_a_context_alone_passes_its_own_tests(context, tmp_path):
    environment = {**os.environ, "CONTEXTS": context, "SHOP_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"contexts/{context}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    print(context, done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout[-3000:]
