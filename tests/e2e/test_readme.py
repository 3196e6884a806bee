"""The README's session is run as it stands."""

import os
import re
import subprocess

from tests.e2e.shopserver import ROOT


def test_the_session_in_the_readme_ends_in_a_paid_order(shop, staff):
    # given a shop with a product, and the block under "A paid order"
    staff.product("Brown Betty", stock=5)
    section = (ROOT / "README.md").read_text().split("## A paid order")[1]
    session = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert session is not None
    # when a shell runs it, then its last line is the order's status
    environment = {**os.environ, "SHOP": f"http://127.0.0.1:{shop.port}"}
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", session[1]], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "placed"), done.stdout + done.stderr
