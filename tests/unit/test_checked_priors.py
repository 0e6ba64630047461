"""A prior that cannot be made raises in every part that is used under jit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import physcon as pc

GRID = pc.Grid.uniform(0.0, 1.0, 8)


def indefinite(throw):
    return pc.Gaussian.from_covariance(jnp.ones(2), -jnp.eye(2), throw=throw)


def top_hat(throw):
    def kernel(squared):
        return jnp.where(squared < 0.5, 1.0, 0.0)

    return pc.stationary(jnp.ones(8), kernel, GRID, 1.0, 0.3, throw=throw)


@pytest.mark.parametrize("prior", [indefinite, top_hat])
@pytest.mark.parametrize("part", [lambda p: p.mean, lambda p: p.std()])
def test_every_part_of_an_impossible_prior_raises(prior, part):
    with pytest.raises(eqx.EquinoxRuntimeError, match="expected a"):
        eqx.filter_jit(lambda: part(prior(True)))()
    assert jax.jit(lambda: prior(False).mean)().tolist()[0] == 1.0
