"""`bounded` where one point dominates every row by many decades."""

import jax
import jax.numpy as jnp
import numpy as np

from physcon import Gaussian, LinearConstraint, Rows, bounded
from physcon._status import Outcome

N, M = 30, 5


def problem(seed):
    """A field inside the box obeys the rows."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(M, N))
    std = 10 ** rng.uniform(-15, 0, N)
    mean = rng.normal(0.3, 1, N)
    return mean, std, rows, rows @ rng.uniform(0.1, 0.9, N)


def test_standard_deviations_over_fifteen_decades(x64):
    """Rows, and the conditions of an optimum, in extended precision."""

    @jax.jit
    def solved(mean, std, rows, value):
        law = LinearConstraint(Rows(rows), value)
        return bounded(Gaussian.diagonal(mean, std), law, 0.0, 1.0, throw=False)

    found = 0
    for seed in (0, 1, 11, 16, 20, 26, 33, 37, 51, 53):
        mean, std, rows, value = problem(seed)
        out = solved(*map(jnp.asarray, (mean, std, rows, value)))
        if out.outcome != Outcome.good:
            continue
        found += 1
        wide = [np.asarray(x, np.longdouble) for x in (out.mean, out.multiplier, rows)]
        u, multiplier, g = wide
        terms = abs(g) @ abs(u) + abs(value)
        assert (abs(value - g @ u) <= 4e-15 * terms).all()
        variance = np.asarray(std, np.longdouble) ** 2
        pulls = variance * (abs(multiplier) @ abs(g)) + abs(mean)
        optimum = np.clip(mean + variance * (multiplier @ g), 0, 1)
        assert (abs(u - optimum) <= 2e-12 * pulls + 1e-15).all()
    assert found >= 8
