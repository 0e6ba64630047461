"""The channels of shallow water, over a flat bed and over bathymetry."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array


class Flat:
    """States (h, h v) and primitive variables (h, v)."""

    @staticmethod
    def moving(u: Array) -> Array:
        """The momenta of a state, or the velocities of primitive variables."""
        return u[1:]

    @staticmethod
    def surface(u: Array) -> Array:
        """Height of the surface of a state."""
        return u[0]

    @staticmethod
    def depth(w: Array) -> Array:
        """Depth of primitive variables."""
        return w[0]

    @staticmethod
    def with_bed(rows: list[Array], u: Array) -> Array:
        """The rows of a state or of primitive variables, with the bed of `u` if any."""
        return jnp.stack(rows)

    @staticmethod
    def with_still_bed(rows: list[Array]) -> Array:
        """The rows of a flux or a jump, in which the bed does not take part."""
        return jnp.stack(rows)


class OverBed(Flat):
    """States (h, h v, b) and variables (h + b, v, b), b the height of the bed."""

    @staticmethod
    def moving(u: Array) -> Array:
        """The momenta of a state, or the velocities of primitive variables."""
        return u[1:-1]

    @staticmethod
    def surface(u: Array) -> Array:
        """Height of the surface of a state."""
        return u[0] + u[-1]

    @staticmethod
    def depth(w: Array) -> Array:
        """Depth of primitive variables."""
        return w[0] - w[-1]

    @staticmethod
    def with_bed(rows: list[Array], u: Array) -> Array:
        """The rows of a state or of primitive variables, with the bed of `u`."""
        return jnp.stack([*rows, u[-1]])

    @staticmethod
    def with_still_bed(rows: list[Array]) -> Array:
        """The rows of a flux or a jump, and zero for the bed."""
        return jnp.stack([*rows, jnp.zeros_like(rows[0])])


def depth_and_momenta(law: Any, dimensions: int) -> tuple[int, str]:
    """Depth, one momentum for each space axis, and the bed where the state has it."""
    return 1 + dimensions + law.bed, "depth, momenta" + (", bed" if law.bed else "")


def hydrostatic(
    u_left: Array, u_right: Array, velocities: Callable[[Array], list[Array]]
) -> tuple[Array, Array]:
    """Both states over the higher of the two beds: depth max(0, h + b - b_face)."""
    face = jnp.maximum(u_left[-1], u_right[-1])

    def over(u: Array) -> Array:
        h = jnp.maximum(0, u[0] + u[-1] - face)
        return jnp.stack([h, *[h * v for v in velocities(u)]])

    return over(u_left), over(u_right)


def root_share(h_left: Array, h_right: Array) -> Array:
    """√h_left / (√h_left + √h_right), Roe's weight of the left state."""
    left = safe.sqrt(h_left)
    total = left + safe.sqrt(h_right)
    return jnp.where(total > 0, safe.divide(left, total), 0.5)


def bed_push(
    u_left: Array,
    u_right: Array,
    depths_left: Array,
    depths_right: Array,
    gravity: Array,
    axis: int,
) -> Array:
    """The bed's push on each cell, times its width.

    Args:
        u_left, u_right: states (h, h v, b) at the n + 1 faces.
        depths_left, depths_right: the hydrostatically reconstructed depths there.

    Source: Audusse et al. (2004), eqs. 2.14 and 3.3.
    """
    n = u_left.shape[1 + axis] - 1

    def lower(x: Array) -> Array:
        return jax.lax.slice_in_dim(x, 0, n, axis=axis)

    def upper(x: Array) -> Array:
        return jax.lax.slice_in_dim(x, 1, n + 1, axis=axis)

    def lost_pressure(h: Array, star: Array) -> Array:
        # Factored so that no square leaves the range of the dtype.
        return gravity * (h - star) * (h + star)

    at_lower = lower(lost_pressure(u_right[0], depths_right))
    at_upper = upper(lost_pressure(u_left[0], depths_left))
    depth = upper(u_left[0]) + lower(u_right[0])
    fall = lower(u_right[-1]) - upper(u_left[-1])
    push = 0.5 * (at_lower - at_upper + gravity * depth * fall)
    zero = jnp.zeros_like(push)
    rows = range(u_left.shape[0])
    return jnp.stack([push if k == 1 + axis else zero for k in rows])


def side_push(cell: Array, own: Array, depth: Array, gravity: Array) -> Array:
    """The bed's push on a cell through one face of a mesh, along the normal, per area.

    Args:
        cell: averages (h, h v, b) of the cell.
        own: the state on the cell's side of the face.
        depth: its hydrostatically reconstructed depth.

    Source: Audusse and Bristeau, J. Comput. Phys. 206 (2005) 311, eqs. 4.10 and 5.6.
    """
    # Factored so that no square leaves the range of the dtype.
    lost = (own[0] - depth) * (own[0] + depth)
    slope = (own[0] + cell[0]) * (cell[-1] - own[-1])
    push = 0.5 * gravity * (lost - slope)
    zero = jnp.zeros_like(push)
    return jnp.stack([push if k == 1 else zero for k in range(own.shape[0])])
