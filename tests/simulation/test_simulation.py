"""The classes that verify, in a simulated world where everything fails: slow, lost, late, stopped, failed over.

A seed decides all that happens. One that fails is printed; with it in KEYLEDGER_SIMULATION_SEED, the short run is
that world alone.
"""

import os

import pytest
from simulation.mutants import OTHERS, THE_SIX
from simulation.process import Parts
from simulation.scenario import Scenario
from simulation.truth import Truth

SEED = "KEYLEDGER_SIMULATION_SEED"
SHORT = range(8) if SEED not in os.environ else (int(os.environ[SEED]),)
ENOUGH_ACCEPTANCES = 100_000
MOST_SEEDS = 80


def world(seed: int, parts: Parts) -> Truth:
    return Scenario(seed, parts).run()


def assert_right(seed: int, truth: Truth) -> None:
    assert not truth.violations, f"{SEED}={seed}: {len(truth.violations)} violations, {truth.violations[:3]}"


def assert_found_out(parts: Parts) -> None:
    assert any(world(seed, parts).violations for seed in range(MOST_SEEDS))


@pytest.mark.parametrize("seed", SHORT)
def test_nothing_is_accepted_a_second_after_it_was_revoked_or_behind_a_barrier(seed: int) -> None:
    truth = world(seed, Parts())

    assert_right(seed, truth)
    assert truth.acceptances > 0


def test_a_seed_replays_to_the_same_moment_of_every_acceptance() -> None:
    one, again, other = world(1, Parts()), world(1, Parts()), world(2, Parts())

    assert (one.acceptances, one.trace) == (again.acceptances, again.trace)
    assert one.trace != other.trace


@pytest.mark.parametrize("parts", [pytest.param(parts, id=name) for name, parts in THE_SIX.items()])
def test_a_verifier_with_a_rule_of_the_lease_broken_is_found_out(parts: Parts) -> None:
    assert_found_out(parts)


@pytest.mark.slow
@pytest.mark.parametrize("parts", [pytest.param(parts, id=name) for name, parts in OTHERS.items()])
def test_a_verifier_with_any_other_rule_broken_is_found_out(parts: Parts) -> None:
    assert_found_out(parts)


@pytest.mark.slow
def test_of_a_hundred_thousand_acceptances_none_is_wrong() -> None:
    acceptances, seed = 0, 1_000
    while acceptances < ENOUGH_ACCEPTANCES:
        truth = world(seed, Parts())
        assert_right(seed, truth)
        acceptances, seed = acceptances + truth.acceptances, seed + 1
