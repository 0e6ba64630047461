"""Boundary corrections in three dimensions against explicit matrices, in NumPy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.boundary import Boundary, Dirichlet, Neumann, Periodic
from physcon.grid import Grid
from physcon.operators import correct, spectral_conv

BOX = (5, 6, 7)
SIZES = (1.0, 2.0, 0.5)
#: Of the lift, as a share of the axis, by the kind of the conditions.
REACH = {"dirichlet": 0.3, "periodic": 0.3, "neumann": 0.03}


def rows_of(kind, n, h):
    """Rows of both sides of an axis; slopes by one-sided differences of order 2."""
    rows = np.zeros((2, n))
    if kind == "periodic":
        rows[0, 0], rows[0, -1] = 1, -1
        return rows[:1]
    if kind == "dirichlet":
        rows[0, 0] = rows[1, -1] = 1
    else:
        rows[0, :3] = np.array([-1.5, 2.0, -0.5]) / h
        rows[1, -3:] = np.array([0.5, -2.0, 1.5]) / h
    return rows


def gain_of(form, rows, n, reach):
    """P lᵀ (l P lᵀ)⁻¹ with a Matérn-5/2 covariance; or a prior of the ends alone."""
    if form == "overwrite":
        prior = np.diag(np.r_[1.0, np.zeros(n - 2), 1.0])
    else:
        x = np.linspace(0, 1, n)
        r = np.sqrt(5) * np.abs(x[:, None] - x) / reach
        prior = (1 + r + r**2 / 3) * np.exp(-r)
    return prior @ rows.T @ np.linalg.inv(rows @ prior @ rows.T)


def kernel_matrix(weights):
    """The spectral convolution of two channels, by its Fourier sum."""
    axes = (1, 2, 3)
    out = []
    for unit in np.eye(2 * np.prod(BOX)).reshape(-1, 2, *BOX):
        modes = np.fft.rfftn(unit, axes=axes)
        kept = [np.r_[0 : k // 2, -(k // 2) : 0] for k in weights.shape[3:-1]]
        kept = np.ix_(range(2), *kept, range(weights.shape[-1]))
        mixed = np.einsum("oixyz,ixyz->oxyz", weights[0] + 1j * weights[1], modes[kept])
        spectrum = np.zeros_like(modes)
        spectrum[kept] = mixed
        out.append(np.fft.irfftn(spectrum, s=BOX, axes=axes).ravel())
    return np.stack(out, 1)


def side_data(kind, field, axis, h):
    """Conditions that hold for a field, so that faces agree where they meet."""
    if kind == "periodic":
        return Periodic()
    rows = rows_of(kind, BOX[axis], h)
    values = np.moveaxis(field, axis + 1, -1) @ rows.T
    condition = Dirichlet if kind == "dirichlet" else Neumann
    return tuple(condition(jnp.asarray(values[..., side])) for side in (0, 1))


MIXED = ("neumann", "periodic", "dirichlet")


@pytest.mark.parametrize(
    ("form", "kinds"),
    [
        ("lift", ("dirichlet",) * 3),
        ("lift", ("neumann",) * 3),
        ("lift", ("periodic",) * 3),
        ("lift", MIXED),
        ("overwrite", MIXED),
    ],
)
def test_a_corrected_kernel_in_three_dimensions(form, kinds, rng, x64):
    """(1 + Φ (α - l)) K x, one axis after the other, as matrices on 5 x 6 x 7 nodes."""
    weights = rng.normal(size=(2, 2, 2, 4, 4, 3))
    x, field = rng.normal(size=(2, 2, *BOX))
    for axis, kind in enumerate(kinds):
        if kind == "periodic":  # data of the other faces close the axis as well
            first = (slice(None),) * (axis + 1)
            field[(*first, -1)] = field[(*first, 0)]
    grid = Grid.uniform((0.0,) * 3, SIZES, BOX, "nodes")
    spacings = [size / (n - 1) for size, n in zip(SIZES, BOX, strict=True)]
    sides = [
        side_data(kind, field, axis, spacings[axis]) for axis, kind in enumerate(kinds)
    ]
    kernel = partial(spectral_conv, jnp.asarray(weights))
    corrected = correct(kernel, Boundary(*sides), grid, form)
    got = jax.jit(corrected)(jnp.asarray(x))

    u = (kernel_matrix(weights) @ x.ravel()).reshape(x.shape)
    for axis, kind in enumerate(kinds):
        rows = rows_of(kind, BOX[axis], spacings[axis])
        gain = gain_of(form, rows, BOX[axis], REACH[kind])
        before = [np.eye(n) for n in (2, *BOX[:axis])]
        after = [np.eye(n) for n in BOX[axis + 1 :]]
        matrix = np.eye(1)
        for part in (*before, gain @ rows, *after):
            matrix = np.kron(matrix, part)
        # The data are the rows of a field: the correction is linear in its misfit.
        data = 0 * field if kind == "periodic" else field
        u = u + (matrix @ (data - u).ravel()).reshape(u.shape)
    scale = np.abs(u).max()
    np.testing.assert_allclose(got, u, atol=1e-9 * scale)
