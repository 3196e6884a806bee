"""`scripts/bench topology`: a whole run that is short."""

import json
import os
from pathlib import Path

import pytest

from tests.bench.test_bench import POSTGRES, bench, databases_of_benches, is_positive


def test_contexts_apart_are_measured_and_nothing_stays(tmp_path: Path):
    if os.environ["SHOP_TEST_ENGINE"] != "postgres":
        pytest.skip("the bench measures on PostgreSQL: this runs in that half of the suite")
    before = databases_of_benches()
    # when
    done = bench("topology", "--quick", "--json", "--out", str(tmp_path), "--postgres", POSTGRES)
    # then
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "topology.json").read_text())
    [measured] = found["rounds"]
    subjects = {"product": ("together", "direct", "gateway"), "place": ("together", "direct", "gateway")}
    assert set(measured) == {f"{case} on {subject}" for case, names in subjects.items() for subject in names}
    assert all(is_positive(sample["rate"]) for sample in measured.values())
    assert set(found["calls"]) == {"plain", "local", "bare", "http"}
    assert all(is_positive(value) for values in found["calls"].values() for value in values)
    assert len([figure for figure in found["figures"] if figure["budget"] is not None]) == 3
    assert (tmp_path / "topology.png").read_bytes().startswith(b"\x89PNG")
    # and nothing of it stays
    assert databases_of_benches() <= before
