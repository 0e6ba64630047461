"""The scores near a front: what they are for exact, shifted and rounded predictions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon import Grid
from physcon.models import Prediction
from physcon.problems import Advection, PorousMedium, Stefan
from physcon.studies.probconserv.front_scores import control_volumes, front_scores

H = 0.005
GRID = Grid.uniform(0.0, 1.0, 201, location="nodes")
X = GRID.coordinates[0]
scores = jax.jit(front_scores)


def scored(problem, t, mean, std=1e-3):
    t = jnp.asarray(t)
    truth = problem.solution(t, X)
    prediction = Prediction(mean, jnp.full_like(mean, std))
    return {
        name: float(v)
        for name, v in scores(prediction, problem, t, truth, GRID).items()
    }


@pytest.mark.parametrize(
    ("problem", "t"),
    [(Stefan(0.6), 0.05), (Advection(1.0), 0.1), (PorousMedium(3.0), 0.5)],
)
def test_the_front_of_a_shifted_profile_is_off_by_its_shift(problem, t):
    exact = scored(problem, t, problem.solution(t, X))
    assert exact["front_of_mean"] <= H
    assert exact["coverage_behind"] == 1
    shifted = problem.solution(t, X + 0.05)
    found = scored(problem, t, shifted)
    assert found["front_of_mean"] == pytest.approx(0.05, abs=H)
    # Samples' noise beyond the front moves the published position, and not this one.
    noisy = jnp.where(shifted > 0, shifted, -1e-3 + 2e-3 * (jnp.arange(201) % 2))
    moved = scored(problem, t, noisy)["front_of_mean"]
    assert moved == pytest.approx(found["front_of_mean"], abs=1e-5)


def test_nodes_beyond_the_front_do_not_count_as_covered():
    problem = Advection(1.0)
    mean = problem.solution(0.1, X)
    missed = jnp.where(X < 0.295, mean - 0.5, mean)  # 59 of 121 nodes behind the front
    found = scored(problem, 0.1, missed)
    assert found["coverage_behind"] == pytest.approx(62 / 121, abs=1e-6)
    wrong = jnp.where(X > 0.7, 0.5, mean)
    assert scored(problem, 0.1, wrong)["coverage_behind"] == 1


def test_half_a_jump_on_a_node_is_the_average_of_its_control_volume():
    problem = Advection(1.0)
    mean = problem.solution(0.1, X).at[120].set(0.5)
    assert scored(problem, 0.1, mean)["cell_average_error"] < 1e-10
    averages = np.asarray(problem.cell_averages(0.1, control_volumes(X)))
    volumes = np.diff(np.asarray(control_volumes(X), np.float64))
    assert averages @ volumes == pytest.approx(0.6, abs=1e-6)
    np.testing.assert_allclose(volumes, np.asarray(GRID.weights()), rtol=1e-4)
