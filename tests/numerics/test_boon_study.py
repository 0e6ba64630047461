"""The boundary studies on a tiny scale: exact conditions after training, seeds independent."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from physcon.operators.enforce import residuals
from physcon.studies.boon import BoonConfig, run, samples, study_grid, table

TINY = BoonConfig(
    problem="stokes", nodes=17, time=1.0, train=12, test=4, modes=4, width=4, depth=2, batch=4,
    steps=12, learning_rate=1e-2, methods=("plain", "lift"), seeds=(0, 1),
)  # fmt: skip


def test_seeds_side_by_side_train_as_if_alone():
    """Scores of two seeds at once equal those of the second one alone; lifted ones are exact."""
    both = run(TINY, progress=False)
    assert [(s.method, s.seed) for s in both] == [(m, i) for m in TINY.methods for i in (0, 1)]
    (alone,) = run(replace(TINY, methods=("lift",), seeds=(1,)), progress=False)
    np.testing.assert_allclose(alone.relative_l2, both[3].relative_l2, rtol=1e-3)
    rows = {row["method"]: row for row in table(both)}
    assert rows["lift"]["boundary_error"] == 0.0
    assert rows["plain"]["boundary_error"] > 1e-2


def test_samples_in_space_and_time_meet_their_conditions():
    """Values along the time axis: the exact solution has no boundary residual but the stencil's."""
    config = replace(TINY, problem="heat", nodes=129, times=3, time=0.9)
    grid, data = study_grid(config), samples(jax.random.key(0), config, 2)
    assert data.u.shape == data.answer.shape == (2, 1, 129, 3)
    np.testing.assert_allclose(grid.coordinates[1], [0.3, 0.6, 0.9], rtol=1e-6)
    found = jax.vmap(lambda u, b: [r.value for r in residuals(u, b, grid, 3)])(
        data.answer, data.boundary
    )
    for side in found:
        assert side.shape == (2, 1, 3)
        assert float(jnp.abs(side).max()) < 5e-3  # of a flux of 5
