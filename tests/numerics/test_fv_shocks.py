"""Strong shocks: Shu and Osher's density waves behind one, Sedov's blast waves in 1-D
and 2-D.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from physcon.boundary import Boundary, Outflow, Reflective
from physcon.fv import (
    MUSCL,
    WENO,
    Euler,
    Positive,
    Scheme,
    hllc,
    solve,
    ssp_rk2,
    ssp_rk3,
)
from physcon.grid import Grid

LAW = Euler(1.4)


def shu_osher(n, scheme):
    """Density at t = 1.8: a Mach 3 shock has run into 1 + sin(5 x)/5."""
    grid = Grid.uniform(-5.0, 5.0, n)
    x, faces = grid.coordinates[0], np.linspace(-5, 5, n + 1)
    rho = jnp.asarray(1 - 0.04 * np.diff(np.cos(5 * faces)) / np.diff(faces), x.dtype)
    behind = jnp.array([27 / 7, 4 * 35**0.5 / 9, 31 / 3])[:, None]
    w = jnp.where(x < -4, behind, jnp.stack([rho, 0 * x, 1 + 0 * x]))
    u = LAW.conservative(w)
    return np.asarray(
        solve(u, LAW, grid, Boundary(Outflow()), scheme, times=[1.8]).u[-1, 0], float
    )


def test_weno5_keeps_the_waves_behind_a_shock():
    n = 400
    weno = shu_osher(
        n, Scheme(Positive(WENO(variables="characteristic")), hllc, ssp_rk3)
    )
    # MUSCL on four times the cells: 0.008 in L1 from a WENO solution on 3200 cells.
    fine = shu_osher(4 * n, Scheme(MUSCL(), hllc)).reshape(n, 4).mean(1)
    x = (np.arange(n) + 0.5) * 10 / n - 5
    assert abs(x[np.argmin(np.diff(weno))] - x[np.argmin(np.diff(fine))]) < 1.5 * 10 / n
    # Of the L1 error, one smeared cell of the main shock (a jump of 3) is 3/n = 0.0075.
    assert np.abs(weno - fine).mean() < 0.0075 + 0.008 + 0.01
    # The short waves behind it, 14 cells each, keep 0.9 of their amplitude; MUSCL on n:
    # 0.48.
    waves = (x > 0.5) & (x < 2.2)
    assert weno[waves].std() > 0.88 * fine[waves].std()


def sedov(shape, energy):
    """Density at t = 1 in a corner between walls: `energy` in the first cell, density 1
    around.
    """
    grid = Grid.uniform((0.0,) * len(shape), (1.0,) * len(shape), shape)
    h = 1 / shape[0]
    total = jnp.full(shape, 1e-6).at[(0,) * len(shape)].set(energy / h ** len(shape))
    u = jnp.stack([jnp.ones(shape), *[jnp.zeros(shape)] * len(shape), total])
    boundary = Boundary(*[(Reflective(), Outflow())] * len(shape))
    scheme = Scheme(Positive(MUSCL()), hllc, ssp_rk2)
    solution = solve(u, LAW, grid, boundary, scheme, times=[1.0], cfl=0.4)
    rounding = float(jnp.finfo(u.dtype).eps * solution.steps)
    kept = np.asarray(grid.integrate(solution.u[-1]))
    assert kept[-1] == pytest.approx(energy + 1e-6, rel=rounding)  # nothing has left
    assert kept[0] == pytest.approx(1.0, rel=rounding)
    return np.asarray(solution.u[-1, 0], float)


# The front is at (E t²/(α ρ))^(1/(2 + j)), j = 1 or 2 dimensions. For γ = 1.4 a plane
# wave of energy 0.0673185 per half space is at 0.5 at t = 1, a round one of energy
# 0.311357 at 0.75 (Kamm and Timmes, On Efficient Generation of Numerically Robust Sedov
# Solutions, LA-UR-07-2849, 2007).
def test_a_plane_blast_wave_is_where_similarity_says():
    n = 160
    rho = sedov((n,), 0.0673185)
    x = (np.arange(n) + 0.5) / n
    front = x[rho > 0.5 * (1 + 6)].max()  # half way up the strong shock's jump, 1 to 6
    assert front == pytest.approx(0.5, abs=1.0 / n)
    assert 4.5 < rho.max() < 6


def test_a_round_blast_wave_is_round_and_where_similarity_says():
    n = 32
    rho = sedov((n, n), 0.311357 / 4)
    x = (np.arange(n) + 0.5) / n
    axis = x[rho[:, 0].argmax()]
    diagonal = np.sqrt(2) * x[np.diag(rho).argmax()]
    # The peak is in the cell behind the front: one cell, on the diagonal a longer one.
    assert axis == pytest.approx(0.75, abs=1.0 / n)
    assert diagonal == pytest.approx(0.75, abs=np.sqrt(2) / n)
    np.testing.assert_allclose(rho, rho.T, atol=1e-4)
    assert 2.5 < rho.max() < 6
