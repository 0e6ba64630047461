"""A narrow prediction on a wider grid: promoted as in any product, never an error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc


def missed(u):
    """By how much the mean of 12 cells is not 0.7, in float64."""
    return abs(0.7 - np.sum(np.asarray(u, np.float64)) / 12)


@pytest.mark.parametrize(
    ("narrow", "wide"), [(jnp.float32, jnp.float64), (jnp.bfloat16, jnp.float32)]
)
def test_a_law_holds_to_the_wider_rounding(narrow, wide):
    with jax.enable_x64(wide == jnp.float64):
        law = pc.integral(pc.Grid.uniform(0.0, 1.0, 12), 0.7)
        mean = jnp.asarray(np.linspace(-0.25, 1.5, 12), narrow)

        def conserved(mean):
            prior = pc.Gaussian.diagonal(mean, jnp.full(12, 0.25, mean.dtype))
            return pc.condition(prior, law, throw=False).posterior.mean

        u, slope = conserved(mean), jax.grad(lambda m: conserved(m)[3] ** 2)(mean)
        assert u.dtype == wide
        assert missed(u) < 4 * float(jnp.finfo(wide).eps)
        # As if all had been wide from the beginning; the gradient has the prediction's
        # dtype.
        np.testing.assert_array_equal(u, conserved(mean.astype(wide)))
        exact = jax.grad(lambda m: conserved(m)[3] ** 2)(mean.astype(wide))
        assert slope.dtype == narrow
        rounding = 4 * float(jnp.finfo(narrow).eps)
        np.testing.assert_allclose(
            np.asarray(slope, float), exact, rtol=rounding, atol=1e-8
        )


def test_bounds_beside_a_wide_grid(x64):
    law = pc.integral(pc.Grid.uniform(0.0, 1.0, 12), 0.7)
    mean = jnp.linspace(-0.25, 1.5, 12, dtype=jnp.float32)
    u = pc.bounded(pc.Gaussian.diagonal(mean, 0.25), law, lower=0.0).mean
    assert u.dtype == jnp.float64
    assert float(u.min()) == 0.0  # the bound is active
    assert missed(u) < 1e-15


def test_a_nonlinear_law_of_wide_arrays(x64):
    grid = pc.Grid.uniform(0.0, 1.0, 12)
    prior = pc.Gaussian.diagonal(jnp.linspace(0.5, 1.5, 12, dtype=jnp.float32), 0.1)
    law = pc.NonlinearConstraint(lambda u: grid.integrate(u**2)[None], jnp.array([1.2]))
    found = pc.condition_nonlinear(prior, law)
    assert found.mean.dtype == jnp.float64
    assert abs(float(found.residual[0])) < 1e-12


def test_integers_are_numbers():
    """A Gaussian of integers equals the Gaussian of the same floating-point numbers."""
    law = pc.integral(np.array([1, 1]), 7)
    whole = pc.Gaussian.diagonal(np.array([1, 1]), np.array([1, 2]))
    assert pc.condition(whole, law).posterior.mean.tolist() == [2.0, 5.0]
    members = np.array([[1, 0], [3, 0]])
    np.testing.assert_allclose(
        pc.Gaussian.from_samples(members).variance(), [2.0, 0.0], rtol=1e-6
    )
    even = pc.condition(
        pc.Gaussian.diagonal(np.array([1, 1]), 2), law
    ).posterior  # one std for all points
    assert even.mean.tolist() == [3.5, 3.5]
