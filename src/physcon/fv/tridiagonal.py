"""Tridiagonal systems along one axis, on one device or divided among several."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._mesh import shifted
from physcon._typing import Array, Float
from physcon.fv.ghost import along

Bands: TypeAlias = tuple[Array, Array, Array]


def bands(
    operator: Callable[[Array], Array],
    like: Float[Array, "c *x"],
    axis: int,
    mesh_axis: str | None = None,
) -> Bands:
    """The three diagonals of a linear operator that couples neighbours along one axis.

    Three applications suffice: columns of one colour (index modulo 3) never meet in a
    row. Along a divided axis the result has the rows of this device's block, whose
    first and last rows couple to the neighbouring devices.

    Shapes: `operator` maps arrays like `like` to such arrays; diagonals ``(c, *others,
    n)``.
    """
    n = like.shape[1 + axis]
    index, size = jnp.arange(n), n
    if mesh_axis is not None:
        index = index + jax.lax.axis_index(mesh_axis) * n
        size = n * jax.lax.axis_size(mesh_axis)
    colour = index % 3
    hits = []
    for k in range(3):
        seed = along((colour == k).astype(like.dtype), like.ndim, axis)
        image = operator(jnp.broadcast_to(seed, like.shape))
        hits.append(jnp.moveaxis(image, 1 + axis, -1))

    def diagonal(offset: int) -> Array:
        wanted = (colour + offset) % 3
        wanted = wanted.reshape((1,) * (like.ndim - 1) + (-1,))
        return jnp.where(wanted == 0, hits[0], jnp.where(wanted == 1, hits[1], hits[2]))

    row = index.reshape((1,) * (like.ndim - 1) + (-1,))
    lower = jnp.where(row > 0, diagonal(-1), 0)
    upper = jnp.where(row < size - 1, diagonal(1), 0)
    return lower, diagonal(0), upper


def solve_bands(
    bands: Bands, right: Float[Array, "c *x"], axis: int, mesh_axis: str | None = None
) -> Float[Array, "c *x"]:
    """Solve tridiagonal systems along one axis."""
    lines = jnp.moveaxis(right, 1 + axis, -1)
    if mesh_axis is None:
        found = jax.lax.linalg.tridiagonal_solve(*bands, lines[..., None])[..., 0]
    else:
        found = _solve_divided(bands, lines, mesh_axis)
    return jnp.moveaxis(found, -1, 1 + axis)


def _solve_divided(
    bands: Bands, right: Float[Array, "*lines n"], mesh_axis: str
) -> Float[Array, "*lines n"]:
    """Lines cut into blocks, one per device, by Schur's complement.

    The last unknown s of each block separates its other unknowns x from the next block:
    x = g - p s_before - q s, three solves within the block. The remaining system is
    tridiagonal in the s of all blocks: four numbers per block and line, which every
    device gathers and solves. What depends on the right-hand side is kept apart from
    what depends on the bands, so that the result can be transposed as a linear function
    of the former.

    Source: Wang, ACM Trans. Math. Software 7 (1981) 170.
    """
    lower, middle, upper = bands
    n = right.shape[-1]
    require(n >= 2, "2 or more cells on each device", n, "divide an implicit axis less")
    nothing = jnp.zeros_like(middle[..., :1])
    between = jnp.zeros_like(middle[..., 2:])
    inner = (
        jnp.concatenate([nothing, lower[..., 1:-1]], -1),
        middle[..., :-1],
        jnp.concatenate([upper[..., :-2], nothing], -1),
    )
    before = jnp.concatenate([lower[..., :1], between], -1)
    after = jnp.concatenate([between, upper[..., -2:-1]], -1)
    own_side = right[..., :-1, None]
    g = jax.lax.linalg.tridiagonal_solve(*inner, own_side)[..., 0]
    sides = jnp.stack([before, after], -1)
    p, q = jnp.moveaxis(jax.lax.linalg.tridiagonal_solve(*inner, sides), -1, 0)

    g_next = shifted(g[..., 0], mesh_axis, -1)
    p_next, q_next = shifted(jnp.stack([p, q])[..., 0], mesh_axis, -1)
    low = lower[..., -1]
    high = upper[..., -1]
    reduced = jnp.stack(
        [
            -low * p[..., -1],
            middle[..., -1] - low * q[..., -1] - high * p_next,
            -high * q_next,
        ]
    )
    missing = right[..., -1] - low * g[..., -1] - high * g_next
    of_all = jax.lax.all_gather(reduced, mesh_axis, axis=reduced.ndim)
    missing = jax.lax.all_gather(missing, mesh_axis, axis=missing.ndim)
    s = solve_bands((of_all[0], of_all[1], of_all[2]), missing, missing.ndim - 2)
    own = jax.lax.axis_index(mesh_axis)
    # No block precedes the first one: there p = 0.
    s_before = jax.lax.dynamic_index_in_dim(s, jnp.maximum(own - 1, 0), -1)
    s = jax.lax.dynamic_index_in_dim(s, own, -1)
    return jnp.concatenate([g - p * s_before - q * s, s], -1)
