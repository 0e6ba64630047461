"""Matérn kernels: derivatives at distance zero, where autodiff through √ has none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon import kernels


def along(kernel):
    return lambda t: kernel(t**2)


@pytest.mark.parametrize(
    ("kernel", "curvature"),
    [
        (kernels.matern32, -3.0),
        (kernels.matern52, -5 / 3),
        (kernels.squared_exponential, -1.0),
    ],
)
def test_the_variance_of_the_derivative_is_minus_the_curvature(kernel, curvature):
    second = jax.grad(jax.grad(along(kernel)))
    assert float(second(0.0)) == pytest.approx(curvature, rel=1e-6)
    assert float(second(1e-4)) == pytest.approx(curvature, rel=1e-3)
    # Cov(u'(x), u'(y)) = -k''(x - y): positive definite at distinct points.
    x = jnp.linspace(0.0, 1.0, 5)
    covariance = -jax.vmap(lambda a: jax.vmap(lambda b: second(a - b))(x))(x)
    assert np.linalg.eigvalsh(np.asarray(covariance, float)).min() > 0


def test_the_fourth_derivative_of_matern52_is_25():
    """1 - 5/6 t² + 25/24 t⁴: paths with two derivatives."""
    fourth = jax.grad(jax.grad(jax.grad(jax.grad(along(kernels.matern52)))))
    assert float(fourth(0.0)) == pytest.approx(25.0)


@pytest.mark.parametrize("kernel", [kernels.matern32, kernels.matern52])
def test_derivatives_away_from_zero_equal_the_textbook_formula(kernel, x64):
    def textbook(t):
        if kernel is kernels.matern32:
            return (1 + jnp.sqrt(3.0) * t) * jnp.exp(-jnp.sqrt(3.0) * t)
        r = jnp.sqrt(5.0) * t
        return (1 + r + r**2 / 3) * jnp.exp(-r)

    t = jnp.array(0.7)
    found, expected = along(kernel), textbook
    for _ in range(4):
        np.testing.assert_allclose(found(t), expected(t), rtol=1e-12)
        found, expected = jax.grad(found), jax.grad(expected)
