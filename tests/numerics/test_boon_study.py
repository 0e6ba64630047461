"""The boundary studies on a tiny scale: exact conditions after training, seeds
independent.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.boundary import Boundary, Neumann
from physcon.operators import form_for
from physcon.operators.enforce import residuals
from physcon.studies.boon.data import samples, study_grid
from physcon.studies.boon.networks import exists
from physcon.studies.boon.settings import BoonConfig
from physcon.studies.boon.study import methods_of, run
from physcon.studies.session import Session

QUIET = Session(progress=False)
TINY = BoonConfig(
    problem="stokes",
    nodes=17,
    time=1.0,
    train=12,
    test=4,
    modes=4,
    width=4,
    depth=1,
    batch=4,
    steps=12,
    learning_rate=1e-2,
    methods=("plain", "lift"),
    seeds=(0, 1),
)


def test_seeds_side_by_side_train_as_if_alone():
    """Two seeds trained together equal each seed alone; lifted networks are exact."""
    plain, lift = run(TINY, QUIET)
    (alone,) = run(replace(TINY, methods=("lift",), seeds=(1,)), QUIET)
    assert (lift.method, lift.seeds, alone.seeds) == ("lift", 2, 1)
    # Of two numbers the standard deviation is the distance of each from their mean.
    distance = abs(alone.relative_l2 - lift.relative_l2)
    np.testing.assert_allclose(
        distance, lift.relative_l2_std, atol=1e-3 * lift.relative_l2
    )
    assert lift.boundary_error == 0.0
    assert plain.boundary_error > 1e-2


@pytest.mark.parametrize("problem", ["heat", "cavity"])
def test_samples_over_time_meet_their_conditions(problem):
    """Values along the time axis: the answer has no boundary residual but the
    stencil's.
    """
    config = replace(
        TINY, problem=problem, nodes={"heat": 129, "cavity": 9}[problem], times=3
    )
    config = replace(config, start=0.3 * (problem == "heat"), time=0.9)
    grid, data = study_grid(config), samples(jax.random.key(0), config, 2)
    space = {"heat": (129,), "cavity": (9, 9)}[problem]
    assert data.u.shape == data.answer.shape == (2, 1, *space, 3)
    times = {"heat": [0.5, 0.7, 0.9], "cavity": [0.3, 0.6, 0.9]}[problem]
    np.testing.assert_allclose(grid.coordinates[-1], times, rtol=1e-6)
    found = jax.vmap(lambda u, b: [r.value for r in residuals(u, b, grid, 3)])(
        data.answer, data.boundary
    )
    assert len(found) == 2 * len(space)
    for side in found:
        # Cut from the field itself, or a difference of a flux of 5.
        assert float(jnp.abs(side).max()) <= {"heat": 5e-3, "cavity": 0.0}[problem]


def test_the_default_is_the_form_of_the_conditions_trained_once():
    """Asked for by both of its names, it is one row, marked as the default."""
    named = replace(TINY, methods=("lift", "default", "overwrite"), seeds=(1,))
    lift, overwrite = run(named, QUIET)
    assert (lift.method, lift.is_default) == ("lift", True)
    assert (overwrite.method, overwrite.is_default) == ("overwrite", False)
    assert lift.against_overwrite == lift.relative_l2 / overwrite.relative_l2
    waves = replace(TINY, problem="wave", methods=("default",))
    assert methods_of(waves, form_for(Boundary(Neumann()))) == ["basis"]


def test_methods_without_a_form_for_the_problem_are_left_out():
    """A circle has no wall to eliminate, and no basis of its own."""
    for problem in ("burgers-periodic", "burgers-centred"):
        assert not exists("basis", replace(TINY, problem=problem))
    assert exists("basis", replace(TINY, problem="cavity"))
