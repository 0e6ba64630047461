"""Quadrature rows against scipy's integrators, and their observed order."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate

import physcon as pc


def points(n: int, kind: str, rng) -> np.ndarray:
    """Equal, graded, or random positions on [0, 2]."""
    if kind == "random":
        return np.cumsum(rng.uniform(0.2, 1, n))
    return 2 * np.linspace(0, 1, n) ** (1.0 if kind == "equal" else 1.7)


REFERENCE = {
    "trapezoid": lambda u, x: scipy.integrate.trapezoid(u, x),
    "simpson": lambda u, x: scipy.integrate.simpson(u, x=x),
    "spline": lambda u, x: scipy.interpolate.CubicSpline(x, u).integrate(x[0], x[-1]),
}


@pytest.mark.parametrize("kind", ["equal", "graded", "random"])
@pytest.mark.parametrize("n", [4, 5, 8, 31])
@pytest.mark.parametrize("rule", REFERENCE)
def test_weights_equal_scipy(rule, n, kind, rng, x64):
    x = points(n, kind, rng)
    u = rng.normal(size=n)
    got = pc.Grid.nodes(x).weights(rule) @ u
    np.testing.assert_allclose(got, REFERENCE[rule](u, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("rule", "order"), [("trapezoid", 2), ("simpson", 4), ("spline", 4)]
)
def test_order_on_equal_nodes(rule, order, x64):
    errors = []
    for n in (65, 129, 257):
        grid = pc.Grid.uniform(0.0, 1.0, n, location="nodes")
        u = jnp.cos(3 * grid.coordinates[0])
        errors.append(abs(float(grid.integrate(u, rule)) - np.sin(3) / 3))
    observed = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(observed, order, atol=0.2)


@pytest.mark.parametrize(
    ("rule", "degree"), [("trapezoid", 1), ("simpson", 2), ("spline", 3)]
)
def test_exact_for_polynomials_on_unequal_nodes(rule, degree, rng, x64):
    x = points(9, "random", rng)
    row = pc.Grid.nodes(x).weights(rule)
    for k in range(degree + 1):
        want = (x[-1] ** (k + 1) - x[0] ** (k + 1)) / (k + 1)
        np.testing.assert_allclose(row @ x**k, want, rtol=1e-12)


def test_cell_averages_are_exact(x64):
    """Sum of volume times average of u = x y² over unequal cells is its integral, 1/2 ·
    8/3.
    """
    x, y = np.array([0.0, 0.1, 0.7, 1.0]), np.array([0.0, 0.5, 2.0])
    average = np.outer(np.diff(x**2) / 2 / np.diff(x), np.diff(y**3) / 3 / np.diff(y))
    np.testing.assert_allclose(
        pc.Grid.cells(x, y).integrate(jnp.asarray(average)), 4 / 3, rtol=1e-14
    )


def test_sum_over_a_million_cells_is_taken_in_float64():
    grid = pc.Grid.uniform(0.0, 1.0, 1_000_000)
    u = np.random.default_rng(0).uniform(0, 1, 1_000_000).astype(np.float32)
    want = np.dot(u.astype(float), np.asarray(grid.weights(), float))
    np.testing.assert_allclose(grid.integrate(jnp.asarray(u)), want, rtol=6e-8)
