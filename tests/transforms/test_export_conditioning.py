"""Exports of distributions, laws and conditioning, see `test_export_everything`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from exporting import ENDS, GRID, KEY, NODES, N, export, mass, prior

import physcon as pc
from physcon import conditioning
from physcon.kernels import matern32

SQUARE = pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (2, 4))


def rows(x):
    """Enough rows for a Cholesky factor of their Gram matrix."""
    return conditioning.stack(pc.second_difference(GRID), mass(x))


def posterior(x):
    return pc.condition(prior(x), mass(x), throw=False).posterior


def derived(gaussian):
    """What can be asked of a posterior without its matrix."""
    places = jnp.array([[0], [3]])
    return (
        gaussian.root.mv(jnp.ones(N)),
        conditioning.covariance_apply(gaussian, jnp.ones(N)),
        conditioning.covariance_block(gaussian, places, places),
        conditioning.covariance_columns(gaussian, places),
        conditioning.linear_image(gaussian, pc.second_difference(GRID).operator),
        conditioning.total(gaussian, GRID),
        conditioning.values_at(gaussian, places),
        conditioning.quantile(gaussian, 0.9),
    )


def circle(x):
    return pc.NonlinearConstraint(
        lambda u: jnp.sum(u**2)[None], 1 + jnp.sum(x**2)[None]
    )


def block(x):
    """Balances of 2 times and 4 cells."""
    grid = pc.Grid.uniform(0.0, 1.0, 4)
    return pc.balance(grid, jnp.array([0.0, 0.5]), (jnp.zeros((1, 5)) + x[0],))


#: Name of the public thing -> a function of x (8 numbers).
TABLE: dict[str, Callable[[Any], Any]] = {
    # Distributions and linear maps
    "Gaussian": lambda x: (
        posterior(x).sample(KEY),
        posterior(x).log_prob(x),
        posterior(x).covariance(),
        pc.Gaussian.from_samples(jnp.stack([x, 2 * x, x**2]), jnp.ones(N)).std(),
        pc.Gaussian.from_mixture(jnp.stack([x, 2 * x]), jnp.ones((2, N))).variance(),
        pc.Gaussian.from_covariance(x, jnp.eye(N), throw=False).log_prob(2 * x),
        pc.Gaussian.from_variance(x, x**2).variance(),
    ),
    "LinearConstraint": lambda x: (mass(x).residual(x), mass(x).noise()),
    "LinearMap": lambda x: (rows(x).operator.mv(x), rows(x).operator.rmv(x[:7])),
    "Diagonal": lambda x: pc.Diagonal(x).solve(x),
    "LowRank": lambda x: pc.LowRank(jnp.stack([x, x**2])).mahalanobis(x, x),
    "Rows": lambda x: pc.Rows(x[None]).mv(x),
    "Grid": lambda x: (GRID.integrate(x), NODES.integrate(x)),
    # Constraints
    "integral": lambda x: mass(x).residual(x),
    "balance": lambda x: block(x).residual(x.reshape(2, 4)),
    "divergence_free": lambda x: pc.divergence_free(SQUARE),
    "boundary_values": lambda x: pc.boundary_values(NODES, ENDS).residual(x),
    "sensors": lambda x: pc.sensors(GRID, x[:2, None] ** 2 / 4, x[:2]).residual(x),
    "from_fn": lambda x: pc.from_fn(lambda u: jnp.sum(u)[None], (N,), x[0]).residual(x),
    "second_difference": lambda x: pc.second_difference(GRID).residual(x),
    "stack": lambda x: rows(x).residual(x),
    "NonlinearConstraint": lambda x: circle(x).fn(x),
    # Conditioning
    "condition": lambda x: pc.condition(prior(x), rows(x), throw=False),
    "bounded": lambda x: pc.bounded(prior(x), mass(x), 0.0, throw=False),
    "monotone": lambda x: pc.monotone(prior(x), mass(x), throw=False),
    "condition_nonlinear": lambda x: pc.condition_nonlinear(
        prior(x), circle(x), throw=False
    ),
    "reachable": lambda x: pc.reachable(prior(x), mass(x), 0.0, 1.0),
    "sample_bounded": lambda x: pc.sample_bounded(
        KEY, prior(x), mass(x), 0.0, throw=False
    ),
    "marginal_moments": lambda x: pc.marginal_moments(
        prior(x), mass(x), 0.0, throw=False
    ),
    "diffuse": lambda x: pc.diffuse(prior(x), 0.5, throw=False).variance(),
    "hard_c": lambda x: pc.hard_c(prior(x), mass(x), throw=False).mean,
    "prob_conserv": lambda x: pc.prob_conserv(prior(x), mass(x), throw=False).mean,
    "stationary": lambda x: (
        pc.condition(
            pc.stationary(x, matern32, GRID, 1.0, 0.1, throw=False),
            mass(x),
            throw=False,
        ).posterior.mean
    ),
    "ConjugateGradient": lambda x: pc.condition(
        pc.Gaussian.diagonal(x.reshape(2, 4), jnp.ones((2, 4))),
        block(x),
        solver=conditioning.ConjugateGradient(),
        throw=False,
    ),
    "Tridiagonal": lambda x: pc.condition(
        pc.Gaussian.diagonal(x.reshape(2, 4), jnp.ones((2, 4))), block(x), throw=False
    ),
    "Auto, DenseGram, Outcome, Root, linear_map.as_root, conditioning.Solver, "
    "conditioning.Factor, conditioning.DowndatedRoot, conditioning.MatheronRoot, "
    "conditioning.Downdate, conditioning.covariance_apply, "
    "conditioning.covariance_block, "
    "conditioning.covariance_columns, conditioning.linear_image, conditioning.total, "
    "conditioning.values_at, conditioning.quantile": lambda x: derived(posterior(x)),
    "conditioning.isotonic_blocks": lambda x: conditioning.isotonic_blocks(
        x, jnp.ones(N)
    ),
    "join_fields": lambda x: conditioning.join_fields(prior(x), prior(x)).mean,
    "conditioning.log_density": lambda x: conditioning.log_density(
        prior(x), circle(x), x
    ),
    "conditioning.shock_positions": lambda x: conditioning.shock_positions(
        posterior(x), GRID.coordinates[0], KEY, 2
    ),
    "conditioning.shock_position_quantile": lambda x: (
        conditioning.shock_position_quantile(
            posterior(x), GRID.coordinates[0], 0.9, KEY, 10
        )
    ),
    "conditioning.truncated_moments": lambda x: conditioning.truncated_moments(
        x, 1 + x**2, x - 1, x + 2
    ),
}


@pytest.mark.parametrize("name", TABLE, ids=lambda line: line.partition(", ")[0])
def test_exports_for_every_platform(name):
    with jax.numpy_dtype_promotion("strict"):
        export(TABLE[name])
