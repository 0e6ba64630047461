"""The families' equations by finite volumes: they converge to the exact solutions and
masses.
"""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from physcon.problems import PROBLEMS
from physcon.problems.numerical import solve_numerically
from physcon.studies.probconserv.settings import EvaluationSettings, StudyConfig
from physcon.studies.probconserv.truth import true_profiles

#: Parameter, and the least observed order in L1: 2 for smooth u, 1 with a shock, 2/3
#: for a contact by MUSCL (LeVeque 2002, sec. 8.7: a contact spreads over n^(1/3)
#: cells), 1 for a front whose place within its cell is not known (pme with m = 1,
#: stefan).
CASES = {
    "heat": (1.0, 1.9),
    "pme": (1.0, 1.0),
    "stefan": (0.6, 0.9),
    "advection": (3.0, 0.6),
    "burgers": (3.0, 0.9),
}


@pytest.mark.parametrize("name", list(CASES))
def test_averages_converge_to_the_exact_ones_and_mass_is_right(name):
    parameter, least = CASES[name]
    problem = PROBLEMS[name](parameter)
    t = problem.settings.evaluation_time
    errors = []
    for cells in (40, 160):
        found = solve_numerically(problem, [t], cells)
        exact = np.asarray(problem.cell_averages(t, jnp.asarray(found.faces)))
        errors.append(np.abs(found.u[0] - exact).mean() / np.abs(exact).mean())
        # Mass: what the sides let in, of second order at the worst (a value at half a
        # cell).
        assert found.mass(0) == pytest.approx(float(problem.mass(t)), abs=2 / cells**2)
    assert 0.5 * np.log2(errors[0] / errors[1]) > least


def test_the_convergence_is_kept_and_the_truth_is_the_finer_mesh(tmp_path):
    config = StudyConfig(
        problem="burgers",
        truth="fv",
        truth_cells=160,
        evaluation=EvaluationSettings(nx=41),
    )
    truth = true_profiles(config, [3.0, 1.0, 3.0], tmp_path)
    assert list(truth) == [1.0, 3.0]
    rows = json.loads((tmp_path / "truth.json").read_text())["rows"]
    assert [row["cells"] for row in rows] == [80, 160, 80, 160]
    found = solve_numerically(PROBLEMS["burgers"](3.0), [0.5], 160)
    np.testing.assert_allclose(
        truth[3.0], found.at(0, np.linspace(-1, 1, 41)), atol=1e-6
    )
    for coarse, fine in (rows[:2], rows[2:]):
        assert coarse["change"] is None
        assert fine["error"] < fine["change"] + coarse["error"]
        assert abs(fine["mass_error"]) < 1e-12  # the inflow a²/2 is exact
    exact = true_profiles(StudyConfig(problem="burgers"), [3.0], tmp_path / "none")
    assert set(np.unique(exact[3.0])) == {0.0, 3.0}
    assert not (tmp_path / "none").exists()
