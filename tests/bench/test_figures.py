"""What the bench makes of its samples."""

from dataclasses import replace

import pytest

from scripts.benches.figures import Figure, figures, measured
from scripts.benches.measuring import Sample
from scripts.benches.rounds import SLOTS, Run

pytestmark = pytest.mark.once


def run_of(*rounds: dict[tuple[str, str], float]) -> Run:
    """A run in which everything has rate 100 and costs 1 ms, but what is given per round has another rate."""
    return Run(
        first_start=9.0,
        second_start=4.0,
        workers_own_mb=[60.0, 80.0],
        workers_resident_mb=[110.0, 120.0],
        rounds=[
            [
                Sample(
                    case=case,
                    subject=subject,
                    rate=rates.get((case, subject), 100.0),
                    server_cpu_us=1000.0,
                    database_cpu_us=500.0,
                )
                for case, subject in SLOTS
            ]
            for rates in rounds
        ],
    )


def figure(run: Run, name: str) -> Figure:
    [found] = [each for each in figures(run) if each.name == name]
    return found


def test_a_ratio_is_taken_within_each_round_and_then_the_median():
    # given rounds on a machine that becomes slow: the ratios of the rounds are 0.5, 2 and 1
    run = run_of(
        {("order", "shop"): 500, ("order", "fastapi"): 1000},
        {("order", "shop"): 20, ("order", "fastapi"): 10},
        {("order", "shop"): 1, ("order", "fastapi"): 1},
    )
    # when
    found = figure(run, "GET order ÷ FastAPI")
    # then it is not that of the medians, which is 2
    assert (found.value, found.low, found.high) == (1.0, 0.5, 2.0)
    assert found.met


@pytest.mark.parametrize(
    ("rate", "met", "missed_by"),
    [(75.0, True, 0.0), (74.9, False, pytest.approx(0.001, abs=0.001)), (15.0, False, 0.8)],
)
def test_a_budget_of_at_least_so_much(rate, met, missed_by):
    found = figure(run_of({("place", "shop"): rate}), "place order ÷ FastAPI, same SQL")
    assert (found.met, found.missed_by) == (met, missed_by)


def test_a_budget_of_at_most_so_much_counts_the_largest_worker():
    found = figure(run_of({}), "memory of a worker's own")
    assert (found.value, found.met) == (80.0, False)
    assert found.missed_by == pytest.approx(80 / 75 - 1)


def test_what_nobody_promised_misses_nothing():
    found = figure(run_of({("order", "shop"): 0.001}), "GET order ÷ pgbench")
    assert found.budget is None
    assert found.met


def test_a_database_on_another_machine_leaves_out_what_its_cpu_time_is_part_of():
    here, elsewhere = run_of({}), run_of({})
    elsewhere.rounds = [[replace(each, database_cpu_us=None) for each in samples] for samples in elsewhere.rounds]
    left_out = {each.name for each in figures(here)} - {each.name for each in figures(elsewhere)}
    assert left_out == {"CPU with database of place order ÷ FastAPI"}


def test_measured_are_medians_by_case_and_subject():
    run = run_of(*({("login", "shop"): rate} for rate in (10.0, 40.0, 20.0)))
    run.journeys = [Sample(case="journey", subject="shop", rate=7.0)]
    rates = {(each.case, each.subject): each.rate for each in measured(run)}
    assert rates["login", "shop"] == 20.0
    assert rates["journey", "shop"] == 7.0
    assert rates.keys() == {*SLOTS, ("journey", "shop")}


def test_a_slot_that_gave_nothing_is_no_figure():
    run = run_of({("order", "fastapi"): 0.0})
    with pytest.raises(ValueError, match="nothing was measured"):
        figures(run)
