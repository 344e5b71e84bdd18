"""The simulation against what is known of queues by formula."""

from __future__ import annotations

import statistics

import pytest

from scripts.capacity.simulation import Costs, Plant, Simulation, Step

NOTHING = Step(1e-9, 1e-9)


def one_core(seconds: float) -> Step:
    return Step(seconds, seconds)


def test_a_lone_picture_takes_what_it_costs() -> None:
    costs = Costs(one_core(0.1), Step(0.4, 0.2), one_core(0.2))
    (took,) = Simulation(costs, Plant(1, 1, 2, "one")).run(1.0, 1)
    assert took == pytest.approx(0.1 + 0.2 + 0.2)


@pytest.mark.parametrize("busy", [0.3, 0.6])
def test_one_server_with_equal_work_waits_as_the_formula_says(busy: float) -> None:
    """M/D/1: the mean wait is s * rho / (2 * (1 - rho)) (Pollaczek and Khinchine)."""
    costs = Costs(NOTHING, one_core(1.0), NOTHING, threads=99, largest_batch=1)
    took = Simulation(costs, Plant(1, 1, 4, "each"), seed=1).run(busy, 10_000)
    assert statistics.fmean(took) == pytest.approx(1 + busy / (2 * (1 - busy)), rel=0.1)


@pytest.mark.parametrize("busy", [0.3, 0.6])
def test_shared_cores_are_shared_equally(busy: float) -> None:
    """M/G/1 with processor sharing: the mean time is s / (1 - rho), whatever the work."""
    costs = Costs(one_core(1.0), NOTHING, NOTHING, threads=10_000)
    took = Simulation(costs, Plant(1, 1, 1, "one"), seed=2).run(busy, 10_000)
    assert statistics.fmean(took) == pytest.approx(1 / (1 - busy), rel=0.1)


def test_machines_of_their_own_do_what_shared_ones_cannot() -> None:
    costs = Costs(one_core(0.1), Step(0.2, 0.1), one_core(0.1))
    shared = Simulation(costs, Plant(4, 4, 2, "one")).run(20.0, 2_000)
    own = Simulation(costs, Plant(4, 4, 2, "each")).run(20.0, 2_000)
    assert statistics.median(own) < 0.5
    assert statistics.median(shared) > 10


def test_batches_are_no_larger_than_they_may_be() -> None:
    """All come at once: the network takes ten pictures in three batches, each as one."""
    costs = Costs(NOTHING, one_core(1.0), NOTHING, threads=99, largest_batch=4)
    took = Simulation(costs, Plant(1, 1, 1, "each")).run(1e9, 10)
    assert [round(one) for one in sorted(took)] == [1, 5, 5, 5, 5, 9, 9, 9, 9, 10]


def test_a_picture_that_waits_for_something_else_leaves_the_cores_to_others() -> None:
    """Half a core each: four at once on two cores take as long as one alone."""
    costs = Costs(Step(0.5, 1.0), NOTHING, NOTHING, threads=99)
    took = Simulation(costs, Plant(1, 1, 2, "one")).run(1e9, 4)
    assert took == pytest.approx([1.0] * 4, abs=1e-3)


def test_whole_containers_are_independent_but_for_the_balancer_before_them() -> None:
    """Ten at a time on ten machines wait for nobody; two on one machine do."""
    costs = Costs(one_core(0.1), Step(0.4, 0.2), one_core(0.1))
    took = Simulation(costs, Plant(10, 10, 2, "pair")).run(1e9, 10)
    assert took == pytest.approx([0.4] * 10, abs=1e-3)
    fewer = Simulation(costs, Plant(1, 1, 2, "pair")).run(1e9, 2)
    assert max(fewer) > 0.5
