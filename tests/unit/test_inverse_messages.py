"""`physcon.inverse`: what it says of malformed and unsolvable problems."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import fv
from physcon.inverse import (
    evidence,
    laplace_sample,
    least_squares,
    maximum_a_posteriori,
)

PRIOR = pc.Gaussian.diagonal(jnp.zeros(2), jnp.ones(2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: least_squares(lambda t: (t, t), PRIOR), "one array"),
        (lambda: least_squares(lambda t: t, PRIOR, start=jnp.zeros(3)), "start"),
        (lambda: maximum_a_posteriori(lambda t: t, PRIOR), "scalar likelihood"),
        (lambda: evidence(PRIOR), "one or more constraints"),
        (
            lambda: fv.tendency(
                jnp.ones((1, 4)),
                fv.Layered(jnp.ones(3)),
                pc.Grid.uniform(0.0, 1.0, 4),
                pc.Boundary(pc.Dirichlet(0.0)),
            ),
            "3 cells on one axis, got",
        ),
    ],
)
def test_malformed_problems_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_status_tells_what_went_wrong():
    """A model that is NaN, a minimiser that is stopped, a stationary point that is no
    minimum.
    """

    @jax.jit
    def statuses():
        nan = least_squares(lambda t: jnp.log(t - 1.0), PRIOR, throw=False)
        stopped = maximum_a_posteriori(
            lambda t: jnp.sum((t - 3.0) ** 4),
            PRIOR,
            max_steps=2,
            covariance=False,
            throw=False,
        )
        saddle = maximum_a_posteriori(
            lambda t: t[0] ** 2 - t[1] ** 2, PRIOR, max_steps=9, throw=False
        )
        return nan.status, stopped.status, saddle.status

    assert [int(s) for s in statuses()] == [1, 2, 3]
    with pytest.raises(RuntimeError, match="NaN or infinity"):
        jax.jit(
            lambda: least_squares(lambda t: jnp.log(t - 1.0), PRIOR, covariance=False)
        )()


def test_unfinished_draws_are_nan_and_not_wrong():
    a = jnp.asarray(np.vander(np.linspace(0, 1, 20), 20), dtype=jnp.float32) * 100
    prior = pc.Gaussian.diagonal(jnp.zeros(20), jnp.ones(20))

    @jax.jit
    def draws(key):
        z = jnp.zeros(20)
        return laplace_sample(
            key, lambda t: a @ t, prior, z, (2,), max_steps=2, throw=False
        )

    assert bool(jnp.all(jnp.isnan(draws(jax.random.key(0)))))
