"""Local balances: exact algebra, conservation of every cell, and solvers that don't
slow with n.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon.conditioning import (
    ConjugateGradient,
    balance,
    derived,
    divergence_free,
    join_fields,
)
from physcon.conditioning.laplacian import modes
from physcon.linear_map import Difference, Rows, split_fields

TIMES = np.array([0.0, 0.1, 0.3, 0.35])
GRID = ([0.0, 0.2, 0.5, 0.6, 1.0],)


def _normal(rng, *shape):
    return jnp.asarray(rng.normal(size=shape), jnp.result_type(float))


def _prior(rng, *shape):
    std = jnp.asarray(np.exp(0.5 * rng.normal(size=shape)), jnp.result_type(float))
    return pc.Gaussian.diagonal(_normal(rng, *shape), std)


def _given(rng, noise=None):
    grid = pc.Grid.cells(*map(np.array, GRID))
    law = balance(grid, jnp.asarray(TIMES), (_normal(rng, 3, 5),), noise_std=noise)
    return _prior(rng, 4, 4), law


def _unknown(rng, boundary=None, noise=None):
    grid = pc.Grid.cells(*map(np.array, GRID))
    faces = 5 - sum(side is not None for side in (boundary or ((None, None),))[0])
    law = balance(
        grid,
        jnp.asarray(TIMES),
        boundary=boundary,
        noise_std=noise,
        source=_normal(rng, 3, 4),
    )
    return join_fields(_prior(rng, 4, 4), _prior(rng, 3, faces)), law


def _solenoidal(rng, ends=None, periodic=False):
    grid = pc.Grid.cells(
        np.array([0.0, 1.0, 1.5, 3.0]), np.array([0.0, 0.5, 1.5, 2.0, 2.2])
    )
    faces = 0 if periodic else (1 if ends is None else -1)
    boundary = None if ends is None else (ends, ends)
    law = divergence_free(grid, boundary=boundary, periodic=periodic)
    return join_fields(_prior(rng, 3 + faces, 4), _prior(rng, 3, 4 + faces)), law


def _space_time_2d(rng):
    grid = pc.Grid.uniform((0.0, 0.0), (1.0, 2.0), (2, 3))
    law = balance(grid, jnp.array([0.0, 0.5, 0.7]), boundary=((None, None), (0.0, 0.0)))
    return join_fields(
        _prior(rng, 3, 2, 3), _prior(rng, 2, 3, 3), _prior(rng, 2, 2, 2)
    ), law


CASES = {
    "fluxes given": _given,
    "fluxes given, noisy": lambda rng: _given(rng, 0.3),
    "fluxes unknown": _unknown,
    "inflow known, noisy": lambda rng: _unknown(rng, ((0.5, None),), 0.2),
    "both known": lambda rng: _unknown(rng, ((0.2, 0.7),)),
    "2-D": _space_time_2d,
    "divergence between walls": lambda rng: _solenoidal(rng, (0.0, 0.0)),
    "divergence on a torus": lambda rng: _solenoidal(rng, periodic=True),
}


class Found(NamedTuple):
    """What one compiled call returns."""

    rows: jax.Array
    result: pc.Conditioned
    root: jax.Array  # row by row through `rmv`
    latent: jax.Array
    drawn: jax.Array  # root times latent, through `mv`


@jax.jit
def find(prior: pc.Gaussian, law: pc.LinearConstraint) -> Found:
    result = pc.condition(prior, law, throw=False)
    root = result.posterior.root
    z = jax.random.normal(jax.random.key(1), root.in_shape)
    rows = law.operator.rows().reshape(law.value.size, -1)
    return Found(rows, result, root.rows().reshape(prior.mean.size, -1), z, root.mv(z))


@jax.jit
def mean_of(prior, law):
    found = pc.condition(prior, law, throw=False)
    return found.posterior.mean, found.steps, found.status


@jax.jit
def variance_of(posterior):
    return posterior.variance()


@pytest.mark.parametrize("name", CASES)
def test_posterior_equals_dense_algebra(name, rng, x64):
    prior, law = CASES[name](rng)
    found = find(prior, law)
    g, b, mean = np.asarray(found.rows), np.ravel(law.value), np.ravel(prior.mean)
    dense = np.diag(np.ravel(prior.variance()))
    noise = np.zeros(b.size) if law.noise_std is None else np.ravel(law.noise_std) ** 2
    s = g @ dense @ g.T + np.diag(noise)
    gain = dense @ g.T @ np.linalg.pinv(s, rcond=1e-12)
    assert int(found.result.status) == 0
    posterior = found.result.posterior
    np.testing.assert_allclose(
        np.ravel(posterior.mean), mean + gain @ (b - g @ mean), atol=1e-11
    )
    after, root = dense - gain @ g @ dense, np.asarray(found.root)
    np.testing.assert_allclose(root @ root.T, after, atol=1e-10)
    np.testing.assert_allclose(
        root @ np.ravel(found.latent), np.ravel(found.drawn), atol=1e-10
    )
    if law.noise_std is None:  # mean + drawn is a sample
        np.testing.assert_allclose(g @ np.ravel(found.drawn), 0, atol=1e-11)
    if name in ("fluxes given", "fluxes given, noisy", "2-D"):
        variance = np.ravel(variance_of(posterior))
        np.testing.assert_allclose(variance, np.diag(after), atol=1e-10)
    if found.result.log_evidence is not None:
        missing = b - g @ mean
        expected = -0.5 * (
            missing @ np.linalg.solve(s, missing) + np.linalg.slogdet(2 * np.pi * s)[1]
        )
        np.testing.assert_allclose(found.result.log_evidence, expected, rtol=1e-12)
    assert (found.result.log_evidence is not None) == name.startswith("fluxes given")


@pytest.mark.parametrize(
    "ends", [(True, True), (True, False), (False, True), (False, False), None]
)
def test_transforms_diagonalise_the_differences(ends, x64):
    n = 7
    if ends is None:
        part = Difference(jnp.ones(n), 0, periodic=True)
    else:
        part = Difference(jnp.ones(n - 1 + sum(ends)), 0, ends)
    transform, eigenvalues = modes(n, part)
    t, d = np.asarray(jax.vmap(transform)(jnp.eye(n))).T, np.asarray(part.rows())
    np.testing.assert_allclose(t @ t.T, np.eye(n), atol=1e-14)
    np.testing.assert_allclose(t @ d @ d.T @ t.T, np.diag(eigenvalues), atol=1e-14)


def _large(n, contrast):
    """An n-by-n space-time field with fluxes, whose standard deviations vary by
    exp(±contrast).
    """
    rng = np.random.default_rng(n)
    x, t = (np.arange(n) + 0.5) / n, np.linspace(0, 1, n + 1)
    std = 0.1 * np.exp(contrast * np.sin(7 * x)[None] * np.cos(5 * t)[:, None])
    flux_std = 0.1 * np.exp(contrast * np.sin(4 * t[None] + 9 * t[:-1, None]))
    field = pc.Gaussian.diagonal(
        jnp.asarray(1 + 0.1 * rng.normal(size=std.shape), jnp.float32), jnp.asarray(std)
    )
    flux = pc.Gaussian.diagonal(
        jnp.asarray(0.1 * rng.normal(size=flux_std.shape), jnp.float32),
        jnp.asarray(flux_std),
    )
    return join_fields(field, flux), balance(
        pc.Grid.uniform(0.0, 1.0, n), jnp.asarray(t)
    )


def test_steps_do_not_depend_on_the_size():
    steps = {}
    for n in (32, 64, 128):
        _, steps[n], status = mean_of(*_large(n, 0.5))
        assert int(status) == 0
    assert steps[128] <= steps[32] + 3
    assert steps[128] < 30
    # Equal variances: the preconditioner is the inverse.
    assert int(mean_of(*_large(32, 0.0))[1]) <= 2


def test_float32_residual_is_at_rounding_level_in_every_cell():
    prior, law = _large(64, 0.5)
    mean, _, _ = mean_of(prior, law)
    u, flux = (np.asarray(f, float) for f in prior.root.split(mean))
    dx, dt = (
        1 / 64,
        np.diff(np.linspace(0, 1, 65).astype(np.float32).astype(float))[:, None],
    )
    missed = dx * np.diff(u, axis=0) + dt * np.diff(flux, axis=1)
    size = dx * (np.abs(u[1:]) + np.abs(u[:-1])) + dt * (
        np.abs(flux[:, 1:]) + np.abs(flux[:, :-1])
    )
    # dt and dx are rounded to float32 themselves: two roundings more.
    assert np.all(np.abs(missed) <= 3 * np.finfo(np.float32).eps * size)


def test_local_balance_implies_global_balance(rng, x64):
    prior, law = _unknown(rng, ((0.4, None),))
    u, flux = split_fields(mean_of(prior, law)[0], ((4, 4), (3, 4)))
    grid = pc.Grid.cells(*map(np.array, GRID))
    rng = np.random.default_rng(2302_11002)
    source = np.asarray(_unknown(rng, ((0.4, None),))[1].value)
    source = source - np.pad(
        0.4 * np.diff(TIMES)[:, None], ((0, 0), (0, 3))
    )  # less the inflow
    gained = np.diff(grid.integrate(u))
    crossed = np.diff(TIMES) * (0.4 - np.asarray(flux)[:, -1])
    np.testing.assert_allclose(gained, crossed + source.sum(axis=1), atol=1e-12)


def test_an_exact_solution_is_left_alone(rng, x64):
    """Cell averages and fluxes of u = sin(x - t), F = u, balance exactly: no
    correction.
    """
    t, faces = jnp.linspace(0.0, 1.0, 5), jnp.linspace(0.0, 2.0, 9)

    def primitive(t, x):
        return -jnp.cos(x[None] - t[:, None])

    averages = jnp.diff(primitive(t, faces), axis=1) / jnp.diff(faces)[None]
    fluxes = -jnp.diff(primitive(t, faces), axis=0) / jnp.diff(t)[:, None]
    grid = pc.Grid.cells(faces)
    prior = join_fields(
        pc.Gaussian.diagonal(averages, jnp.ones(averages.shape)),
        pc.Gaussian.diagonal(fluxes, jnp.ones(fluxes.shape)),
    )
    np.testing.assert_allclose(
        mean_of(prior, balance(grid, t))[0], prior.mean, atol=1e-13
    )
    given = pc.Gaussian.diagonal(averages, jnp.ones(averages.shape))
    np.testing.assert_allclose(
        mean_of(given, balance(grid, t, (fluxes,)))[0], averages, atol=1e-13
    )


def test_sequential_equals_joint_conditioning(rng, x64):
    prior, law = _unknown(rng)
    row = Rows(_normal(rng, 1, *prior.mean.shape))
    rows = law.operator.rows().reshape(-1, *prior.mean.shape)
    both = pc.LinearConstraint(
        Rows(jnp.concatenate([rows, row.weights])),
        jnp.concatenate([law.value.reshape(-1), jnp.ones(1)]),
    )
    last = pc.LinearConstraint(row, jnp.ones(1))

    @jax.jit
    def run(prior, law, last, both):
        step = pc.condition(prior, law, throw=False).posterior
        step = pc.condition(step, last, throw=False).posterior
        joint = pc.condition(prior, both, throw=False).posterior
        return step.mean - joint.mean

    np.testing.assert_allclose(run(prior, law, last, both), 0, atol=1e-11)


@pytest.mark.parametrize("name", ["fluxes given, noisy", "inflow known, noisy"])
def test_gradient_equals_differences(name, rng, x64):
    prior, law = CASES[name](rng)
    weight = _normal(rng, *prior.mean.shape)
    direction = jax.tree.map(lambda a: 0.3 * _normal(rng, *a.shape), (prior, law))

    @jax.jit
    def score(step):
        p, c = jax.tree.map(lambda a, d: a + step * d, (prior, law), direction)
        found = pc.condition(p, c, throw=False)
        evidence = 0 if found.log_evidence is None else found.log_evidence
        return jnp.sum(weight * found.posterior.mean**2) + evidence

    h = 1e-5
    slope = (score(h) - score(-h)) / (2 * h)
    np.testing.assert_allclose(jax.jit(jax.grad(score))(0.0), slope, rtol=1e-6)
    np.testing.assert_allclose(jax.jvp(score, (0.0,), (1.0,))[1], slope, rtol=1e-6)


def test_float32_gradient_and_batches(rng):
    prior, law = _unknown(rng)
    values = jnp.stack([law.value, 2 * law.value, law.value + 1])

    def score(value):
        moved = pc.LinearConstraint(law.operator, value)
        return jnp.sum(pc.condition(prior, moved, throw=False).posterior.mean ** 2)

    batch = jax.jit(jax.vmap(jax.value_and_grad(score)))(values)
    one = jax.jit(jax.value_and_grad(score))
    for i, value in enumerate(values):
        for a, b in zip(one(value), batch, strict=True):
            np.testing.assert_allclose(b[i], a, rtol=2e-4, atol=1e-4)


def test_samples_have_the_posterior_covariance(rng):
    prior, law = _given(rng, 0.5)
    n = 4000

    @jax.jit
    def draw(prior, law):
        posterior = pc.condition(prior, law, throw=False).posterior
        return posterior.sample(jax.random.key(2), (n,)), posterior.covariance()

    draws, expected = (np.asarray(x, float) for x in draw(prior, law))
    v = np.diag(expected)
    error = np.sqrt((np.outer(v, v) + expected**2) / n)
    assert np.all(np.abs(np.cov(draws.reshape(n, -1).T) - expected) < 5 * error)


def test_flux_through_a_face_with_uncertainty(rng, x64):
    prior, law = _unknown(rng)
    found = find(prior, law)
    face = jnp.array([[16 + 2 * 5 + 1]])  # window 2, face 1
    flux = derived.values_at(found.result.posterior, face)
    np.testing.assert_allclose(flux.mean, found.result.posterior.mean[27:28])
    expected = np.sum(np.asarray(found.root)[27] ** 2)
    np.testing.assert_allclose(
        jax.jit(lambda g: g.variance())(flux), [expected], rtol=1e-8
    )


def test_unsolved_is_said(rng):
    prior, law = _unknown(rng)
    solver = ConjugateGradient(max_steps=2)

    @jax.jit
    def run(prior, law):
        return pc.condition(prior, law, solver=solver).posterior.mean

    with pytest.raises(RuntimeError, match="max_steps"):
        run(prior, law)
    found = jax.jit(lambda p, c: pc.condition(p, c, solver=solver, throw=False).status)
    assert int(found(prior, law)) == 4


def test_malformed_balances():
    grid, t = pc.Grid.uniform(0.0, 1.0, 4), jnp.array([0.0, 1.0])
    nodes = pc.Grid.uniform(0.0, 1.0, 4, location="nodes")
    flux = jnp.zeros((1, 5))
    for message, call in {
        "grid of cells": lambda: balance(nodes, t, (flux,)),
        "2 or more times": lambda: balance(grid, t[:1], (flux,)),
        "1 flux arrays": lambda: balance(grid, t, (flux, flux)),
        "along axis 0 of shape": lambda: balance(grid, t, (flux[:, 1:],)),
        "no boundary together with known": lambda: balance(
            grid, t, (flux,), boundary=((0.0, 0.0),)
        ),
        "pair for each of 1 axes": lambda: balance(grid, t, boundary=((0.0, 0.0),) * 2),
        "in 2 or 3 dimensions": lambda: divergence_free(grid),
        "a torus has no boundary": lambda: divergence_free(
            pc.Grid.uniform((0, 0), (1, 1), (2, 2)),
            boundary=((0.0, None), (None, None)),
            periodic=True,
        ),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_tridiagonal_needs_independent_errors(rng):
    prior, law = _unknown(rng)
    with pytest.raises(ValueError, match="use ConjugateGradient"):
        pc.condition(prior, law, solver=pc.conditioning.Tridiagonal())


def test_correlated_errors_converge_too(rng, x64):
    """A stationary prior on u, fluxes given: conjugate gradients on a correlated Gram
    matrix.
    """
    grid, t = pc.Grid.uniform(0.0, 1.0, 4), jnp.asarray(TIMES)
    field = pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (4, 4))
    prior = pc.conditioning.stationary(
        _normal(rng, 4, 4), pc.kernels.matern32, field, 1.0, 0.2, padding=4
    )
    law = balance(grid, t, (_normal(rng, 3, 5),))
    mean, _, status = mean_of(prior, law)
    assert int(status) == 0
    g = np.asarray(law.operator.rows()).reshape(12, -1)
    dense = np.asarray(prior.covariance())
    missing = np.ravel(law.value) - g @ np.ravel(prior.mean)
    expected = np.ravel(prior.mean) + dense @ g.T @ np.linalg.solve(
        g @ dense @ g.T, missing
    )
    np.testing.assert_allclose(np.ravel(mean), expected, atol=1e-10)
