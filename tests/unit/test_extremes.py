"""A NaN is never lost in a maximum, in arrays of any size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon._extremes import largest_of, smallest_of
from physcon._status import Outcome


@pytest.mark.parametrize(
    ("shape", "axis"), [((5,), None), ((20_000,), None), ((2, 20_000), 0)]
)
def test_one_nan_makes_the_extremes_nan(shape, axis):
    x = np.ones(shape, np.float32)
    x[(-1,) * len(shape)] = np.nan
    for function in (largest_of, smallest_of):
        found = np.asarray(jax.jit(lambda x, f=function: f(x, axis))(x))
        assert np.isnan(found).sum() == 1
        assert np.asarray(function(np.nan_to_num(x, nan=1.0))) == 1
    assert largest_of(jnp.arange(3)).dtype == jnp.int32


@pytest.mark.parametrize(
    ("density", "expected"),
    [(jnp.nan, Outcome.not_finite), (-1.0, Outcome.inadmissible)],
)
def test_one_bad_cell_among_many_is_noticed(density, expected):
    n = 20_000
    grid = pc.Grid.uniform(0.0, 1.0, n)
    start = jnp.stack([jnp.ones(n).at[7].set(density), jnp.zeros(n), jnp.ones(n)])
    walls = pc.Boundary(pc.Outflow())
    law = pc.fv.Euler(1.4)
    found = pc.fv.solve(start, law, grid, walls, times=[1e-6], throw=False)
    assert found.outcome == expected
    assert np.all(np.isnan(found.u))
