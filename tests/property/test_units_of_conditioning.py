"""Answers, gradients and outcomes do not depend on the unit of the field.

One jitted program per case and dtype is run at every scale, so that only values change.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon.conditioning import join_fields, stationary

SCALES = (1e-30, 1e-23, 1e20, 1e30)
GRID = pc.Grid.uniform(0.0, 1.0, 4)
TIMES = np.linspace(0.0, 1.0, 4)


def diagonal(mean, std):
    return pc.Gaussian.diagonal(mean, std), pc.integral(GRID, 1.5 * std[0])


def noisy(mean, std):
    return pc.Gaussian.diagonal(mean, std), pc.integral(GRID, 1.5 * std[0], std[1])


def ensemble(mean, std):
    members = mean[None] + std[None] * jnp.asarray([[1.0, -1, 2, 0], [0, 1, -1, 1]])
    return pc.Gaussian.from_samples(members, std), pc.integral(GRID, 1.5 * std[0])


def mixture(mean, std):
    means = jnp.stack([mean, mean + std, mean - 2 * std])
    prior = pc.Gaussian.from_mixture(means, jnp.stack([std, 2 * std, std]))
    return prior, pc.integral(GRID, 1.5 * std[0])


def correlated(mean, std):
    prior = stationary(mean, pc.kernels.matern32, GRID, std, 0.1, throw=False)
    return prior, pc.integral(GRID, 1.5 * std[0])


def smoothed(mean, std):
    """A posterior of artificial diffusion, conditioned again."""
    prior = pc.diffuse(pc.Gaussian.diagonal(mean, std), 0.5, throw=False)
    return prior, pc.integral(GRID, 1.5 * std[0])


def given_fluxes(mean, std):
    prior = pc.Gaussian.diagonal(jnp.stack([mean] * 4), jnp.stack([std] * 4))
    flux = jnp.zeros((3, 5), mean.dtype).at[:, 2].set(std[0])
    return prior, pc.balance(GRID, jnp.asarray(TIMES, mean.dtype), (flux,))


def unknown_fluxes(mean, std):
    field = pc.Gaussian.diagonal(jnp.stack([mean] * 4), jnp.stack([std] * 4))
    flux = jnp.concatenate([std, std[:1]])
    through = pc.Gaussian.diagonal(jnp.stack([flux] * 3), jnp.stack([flux] * 3))
    law = pc.balance(GRID, jnp.asarray(TIMES, mean.dtype))
    return join_fields(field, through), law


CASES = [
    diagonal,
    noisy,
    ensemble,
    mixture,
    correlated,
    smoothed,
    given_fluxes,
    unknown_fluxes,
]
PLAIN = {"unknown_fluxes"}  # a standard deviation costs a solve per point


def program(case):
    """Mean, std and their gradients, divided by the unit, and the outcome."""

    def moments(mean, std):
        out = pc.condition(*case(mean, std), throw=False)
        posterior = out.posterior
        spread = posterior.mean if case.__name__ in PLAIN else posterior.std()
        return posterior.mean, spread, out.status

    @jax.jit
    def run(unit):
        ones = jnp.asarray([1.0, 2.0, 0.5, 1.0], unit.dtype)
        args = 3 * unit * ones, unit * ones
        (mean, std, status), pull = jax.vjp(moments, *args)
        still = np.zeros((), jax.dtypes.float0)
        slopes = pull((jnp.ones_like(mean), jnp.ones_like(std), still))
        return (mean / unit, std / unit, *slopes), status

    return run


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_units_do_not_matter_in_float32(case):
    run = program(case)
    want, status = run(jnp.float32(1))
    assert int(status) == 0
    for scale in SCALES:
        got, status = run(jnp.float32(scale))
        assert int(status) == 0
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("case", [noisy, given_fluxes], ids=lambda c: c.__name__)
def test_units_do_not_matter_in_float64(case, x64):
    run = program(case)
    want, status = run(jnp.float64(1))
    assert int(status) == 0
    for scale in (1e-30, 1e30):
        got, status = run(jnp.float64(scale))
        assert int(status) == 0
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_gradient_with_respect_to_the_noise_at_any_unit():
    """dμ'/dσ = -2 σ V w r / (w² V + σ²)² for one row: μ' = μ + V w r / (w² V + σ²)."""

    @jax.jit
    def slope(unit):
        prior = pc.Gaussian.diagonal(unit * jnp.ones(4), unit * jnp.ones(4))

        def mean(sigma):
            law = pc.integral(GRID, 3 * unit, sigma)
            return pc.condition(prior, law, throw=False).posterior.mean[0]

        return jax.grad(mean)(0.5 * unit)

    want = -2 * 0.5 * 0.25 * 2 / (0.25 + 0.25) ** 2
    for scale in (1e-25, 1.0, 1e15, 1e19, 1e30):
        np.testing.assert_allclose(slope(jnp.float32(scale)), want, rtol=1e-5)


def test_variances_over_thirty_decades():
    """Variances stay between 0 and the prior's, and gradients are finite."""
    rng = np.random.default_rng(3)
    std = jnp.asarray(10 ** rng.uniform(-15, 15, 40), jnp.float32)
    rows = jnp.asarray(rng.normal(size=(3, 40)), jnp.float32)

    @jax.jit
    def run(std):
        def score(std):
            law = pc.LinearConstraint(pc.Rows(rows), jnp.ones(3))
            prior = pc.Gaussian.diagonal(jnp.zeros(40), std)
            out = pc.condition(prior, law, throw=False)
            return jnp.sum(out.posterior.mean / 1e15), out

        return jax.grad(score, has_aux=True)(std)

    slope, out = run(std)
    assert int(out.status) == 0
    after = out.posterior.std()
    assert np.all((after >= 0) & (after <= std * (1 + 1e-6)))
    assert np.all(np.isfinite(slope))
