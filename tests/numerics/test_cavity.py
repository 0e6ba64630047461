"""The cavity's flow: a published steady state, balances, and order of convergence."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from physcon.problems.cavity import (
    LidDrivenCavity,
    cavity_flow,
    stream_function,
    tendency,
    velocity,
    vorticity,
)

# Ghia, Ghia and Shin, J. Comput. Phys. 48 (1982) 387, tables I and III, Re = 100, 129 x
# 129.
GHIA_Y = [
    0.0547,
    0.0703,
    0.1016,
    0.1719,
    0.2813,
    0.4531,
    0.5,
    0.6172,
    0.7344,
    0.8516,
    0.9531,
    0.9766,
]
GHIA_U = [
    -0.03717,
    -0.04775,
    -0.06434,
    -0.10150,
    -0.15662,
    -0.21090,
    -0.20581,
    -0.13641,
    0.00332,
    0.23151,
    0.68717,
    0.84123,
]
GHIA_STREAM = -0.103423


def circulation(w):
    """Trapezoid sum of the vorticity, in NumPy's float64."""
    weights = np.ones(w.shape[-1])
    weights[[0, -1]] = 0.5
    h = 1 / (w.shape[-1] - 1)
    return h**2 * np.einsum("...ij,i,j->...", np.asarray(w, float), weights, weights)


@pytest.fixture(scope="module")
def steady():
    """A uniform lid from rest to t = 15 on 41 x 41 nodes: ω at 0, 7.5 and 15, and the
    lid.
    """
    n = 41
    lid = jnp.ones(n).at[jnp.array([0, -1])].set(0.0)
    run = jax.jit(lambda w: cavity_flow(w, lid, jnp.asarray(0.01), jnp.asarray(7.5), 2))
    return run(jnp.zeros((n - 2, n - 2))), lid


def test_steady_state_of_ghia(steady):
    """Velocity on the vertical centre line to 6e-3 of the lid's, the vortex's stream to
    2 %.
    """
    states, lid = steady
    psi = stream_function(states[-1, 1:-1, 1:-1])
    u = velocity(psi, lid)[0, lid.shape[0] // 2]
    found = CubicSpline(np.linspace(0, 1, lid.shape[0]), np.asarray(u))(GHIA_Y)
    np.testing.assert_allclose(found, GHIA_U, atol=6e-3)
    np.testing.assert_allclose(float(psi.min()), GHIA_STREAM, rtol=0.02)
    change = float(jnp.max(jnp.abs(states[-1, 1:-1, 1:-1] - states[-2, 1:-1, 1:-1])))
    assert change < 0.02 * float(jnp.max(jnp.abs(states[-1, 1:-1, 1:-1])))


def test_circulation_is_that_of_the_lid(steady):
    """∫ω = -∫u dx over the lid (Stokes) in every state to rounding, on any mesh."""
    states, lid = steady
    expected = -float(lid.sum()) / (lid.shape[0] - 1)
    np.testing.assert_allclose(circulation(states), expected, rtol=2e-6)


def test_energy_balance(x64):
    """d/dt ∫|u|²/2 = ν (-∫ω² + work of the lid, -∫u ω dx): ∫ψ ω_t to second order."""
    problem = LidDrivenCavity.sample(jax.random.key(1))
    missing, size = [], 0.0
    for n in (33, 65, 129):
        x, h = jnp.linspace(0, 1, n), 1 / (n - 1)
        lid, psi = problem.lid_velocity(x), problem.stream(x, x)
        w = vorticity(psi, lid)
        rate = tendency(w[1:-1, 1:-1], lid, problem.viscosity)
        gain = h**2 * jnp.sum(psi[1:-1, 1:-1] * rate)
        loss = problem.viscosity * (circulation(w**2) + h * jnp.sum(lid * w[:, -1]))
        missing.append(abs(float(gain + loss)))
        size = abs(float(problem.viscosity * circulation(w**2)))
    assert missing[-1] < 1e-3 * size
    orders = np.log2(np.divide(missing[:-1], missing[1:]))
    np.testing.assert_allclose(orders, 2.0, atol=0.3)


def test_second_order_in_the_mesh():
    """Differences between 17, 33 and 65 nodes a side fall as h², also at the walls."""
    problem = LidDrivenCavity.sample(jax.random.key(2))
    states = [
        np.asarray(
            jax.jit(lambda p, r=r: p.states(jnp.asarray(0.4), 1, 17, r))(problem)
        )
        for r in (1, 2, 4)
    ]
    coarse, fine = (np.sqrt(np.mean((a - b)[1] ** 2)) for a, b in pairwise(states))
    assert 1.6 < np.log2(coarse / fine) < 2.6
    assert fine < 0.02 * np.sqrt(np.mean(states[-1][1] ** 2))


def test_boundary_is_the_walls_vorticity():
    """Four faces, cut from the field: (x, y) axes in this order."""
    w = jnp.arange(12.0).reshape(2, 3, 2)[:, :2]
    sides = LidDrivenCavity.sample(jax.random.key(0)).boundary(w).sides
    np.testing.assert_array_equal(sides[0][1].value, w[None, -1])
    np.testing.assert_array_equal(sides[1][0].value, w[None, :, 0])
