"""The posterior of a divided field: its variance and samples are computed by block."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import CUBE, largest_message, same

import physcon as pc
from physcon import parallel
from physcon.linear_map import Sum

#: Blocks of 1024 points: long enough for the loops over shorter blocks on one device.
SHAPE = (16, 32, 16)
WHERE = {"mesh": CUBE, "axes": ("x", "y", "z")}


def prior_and_law(kind, rows):
    rng = np.random.default_rng(3)
    mean, std, members, weights, values = (
        jnp.asarray(rng.normal(size=s), jnp.float32)
        for s in (SHAPE, SHAPE, (4, *SHAPE), (rows, *SHAPE), (rows,))
    )
    errors = pc.Diagonal(0.1 + jnp.abs(std))
    members = pc.LowRank(members)
    roots = {"errors": errors, "ensemble": members, "both": Sum(errors, members)}
    # One exact row, and others with noise.
    noise = jnp.linspace(0, 0.3, rows)
    law = pc.LinearConstraint(pc.Rows(weights), values, noise)
    return pc.Gaussian(mean, roots[kind]), law


def described(posterior):
    """Variance, two samples, and products with the covariance, which use Rᵀ."""
    return (
        posterior.variance(),
        posterior.sample(jax.random.key(1), (2,)),
        pc.conditioning.covariance_apply(posterior, posterior.mean),
    )


@pytest.mark.parametrize("kind", ["errors", "ensemble", "both"])
def test_the_posterior_is_the_one_of_a_single_device(kind):
    prior, law = prior_and_law(kind, 3)
    whole = jax.jit(lambda p, c: described(pc.condition(p, c, throw=False).posterior))

    @jax.jit
    def divided(prior, law):
        return described(parallel.condition(prior, law, **WHERE, throw=False).posterior)

    jax.tree.map(lambda a, b: same(a, b, 2e-5), divided(prior, law), whole(prior, law))


@pytest.mark.parametrize("kind", ["errors", "ensemble", "both"])
def test_no_device_sends_a_field_or_a_row(kind):
    """Neither for the values, nor for the derivatives by all arrays.

    Only the white noise of a sample of both kinds of error is exchanged: it is one flat
    array.
    """
    prior, law = prior_and_law(kind, 10)

    def total(prior, law):
        posterior = parallel.condition(prior, law, **WHERE, throw=False).posterior
        found = (posterior.variance(),) if kind == "both" else described(posterior)
        return sum(jnp.sum(jnp.sin(x)) for x in found)

    program = jax.jit(jax.grad(total, argnums=(0, 1))).lower(prior, law).compile()
    assert largest_message(program) <= 10 * 10 + 2 * 10
