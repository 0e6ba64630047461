"""A tendency by blocks equals the one of whole arrays, to rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon import Boundary, Grid, fv
from physcon.boundary import Dirichlet, Flux, Neumann, Outflow, Periodic, Reflective
from physcon.fv import _blocks
from physcon.fv.limiter import van_leer

SHAPE = (21, 18)
GAS = Boundary((Reflective(), Outflow()), Periodic())


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few rows and columns."""
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 1)
    monkeypatch.setattr(_blocks, "LEAST_ROWS", 5)
    monkeypatch.setattr(_blocks, "LEAST_COLUMNS", 8)


def _state(channels, shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    u = 1 + 0.3 * rng.random((channels, *shape))
    u[-1] += channels > 1  # room for the kinetic energy of a gas
    return jnp.asarray(u, jnp.float32)


def _both(u, *problem, monkeypatch):
    """The tendency by blocks and in one piece."""

    def found(u):
        return fv.tendency(u, *problem)

    by_blocks = jax.jit(found)(u)
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 2**40)
    return by_blocks, jax.jit(lambda u: found(u))(u)


def _assert_close(found, expected):
    """Multiplications and additions may be contracted in another order."""
    size = np.abs(expected).max()
    assert np.isfinite(size)
    assert size > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6 * size)


def _varying(channels):
    """States beyond the sides that vary along each side, and a stretched grid."""
    edges = [np.cumsum(1 + 0.1 * np.arange(n + 1)) for n in SHAPE]
    across = [jnp.asarray(_state(channels, (n,), 1)) for n in SHAPE]
    sides = (
        (Dirichlet(across[1]), Outflow()),
        (Neumann(across[0]), Dirichlet(across[0])),
    )
    return Grid.cells(*edges), Boundary(*sides)


UNIFORM = Grid.uniform((0.0, 0.0), (1.0, 1.0), SHAPE)
CASES = {
    "gas": (4, fv.Euler(), UNIFORM, GAS, fv.Scheme(fv.MUSCL(van_leer), fv.hllc)),
    "bed": (4, fv.ShallowWater(1.0, bed=True), *_varying(4), fv.Scheme()),
    "weno": (1, fv.Burgers(), UNIFORM, GAS, fv.Scheme(fv.WENO(), fv.godunov)),
}


@pytest.mark.parametrize("case", CASES)
def test_blocks_equal_whole_arrays(case, small_blocks, monkeypatch):
    channels, *problem = CASES[case]
    u = _state(channels)
    assert all(k < n for k, n in zip(_blocks.block_of(u), SHAPE, strict=True))
    by_blocks, whole = _both(u, *problem, monkeypatch=monkeypatch)
    _assert_close(by_blocks, whole)


def test_three_dimensions_are_cut_along_two_axes(small_blocks, monkeypatch):
    shape = (11, 10, 15)
    u, grid = _state(1, shape), Grid.uniform((0.0,) * 3, (1.0,) * 3, shape)
    assert _blocks.block_of(u) == (6, 5, 15)
    boundary = Boundary(Dirichlet(0.5), Outflow(), Periodic())
    _assert_close(*_both(u, fv.Burgers(), grid, boundary, monkeypatch=monkeypatch))


def test_derivatives_and_batches_by_blocks(small_blocks, monkeypatch):
    u, slope = _state(1), _state(1, seed=1)
    boundary = Boundary(Dirichlet(0.5), Periodic())

    def change(u):
        return fv.tendency(u, fv.Burgers(), UNIFORM, boundary)

    def all_of(u):
        batch = jax.vmap(change)(jnp.stack([u, slope]))
        return batch, jax.jvp(change, (u,), (slope,))[1], jax.vjp(change, u)[1](slope)

    assert "while" in jax.jit(change).lower(u).as_text()
    by_blocks = jax.jit(all_of)(u)
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 2**40)
    whole = jax.jit(lambda u: all_of(u))(u)
    jax.tree.map(_assert_close, by_blocks, whole)


def _mean_flux(u_left, u_right, law, axis):
    """A flux that compares all faces."""
    speed = jnp.max(jnp.abs(u_left))
    mean = 0.5 * (law.flux(u_left, axis) + law.flux(u_right, axis))
    return mean - 0.5 * speed * (u_right - u_left)


WHOLE = {
    "prescribed flux": (Boundary(Flux(0.0), Outflow()), fv.Scheme()),
    "own solver": (Boundary(Outflow(), Outflow()), fv.Scheme(riemann=_mean_flux)),
    "positive": (
        Boundary(Outflow(), Outflow()),
        fv.Scheme(fv.Positive(fv.MUSCL()), fv.rusanov),
    ),
}


@pytest.mark.parametrize("case", WHOLE)
def test_what_may_read_more_than_its_stencil_stays_whole(case, small_blocks):
    u, (boundary, scheme) = _state(3), WHOLE[case]

    def change(u):
        return fv.tendency(u, fv.ShallowWater(), UNIFORM, boundary, scheme)

    assert "while" not in jax.jit(change).lower(u).as_text()
