"""Boundary conditions: one set for ghost cells, kernel corrections and constraint rows.

Values are array leaves: they can be batched, differentiated, and changed without
recompiling. Derivatives are along the coordinate axis (∂u/∂x on both sides), not along
the outward normal.
"""

from collections.abc import Callable
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, ArrayLike, Float, Scalar

#: A value: an array that broadcasts to the face (channels first), or a function of
#: time.
Value: TypeAlias = Array | Callable[[Scalar], Array]


def _value(x: ArrayLike | Callable) -> Value:
    return x if callable(x) else jnp.asarray(x, dtype=jnp.result_type(float))


class Dirichlet(eqx.Module):
    """u = value on the side."""

    value: Value = eqx.field(converter=_value, default=0.0)


class Neumann(eqx.Module):
    """∂u/∂x = derivative on the side, along the coordinate axis (not the outward
    normal).
    """

    derivative: Value = eqx.field(converter=_value, default=0.0)


class Robin(eqx.Module):
    """a u + b ∂u/∂x = value on the side."""

    a: Value = eqx.field(converter=_value)
    b: Value = eqx.field(converter=_value)
    value: Value = eqx.field(converter=_value, default=0.0)


class Flux(eqx.Module):
    """The numerical flux through the side is given (positive along the coordinate
    axis).
    """

    flux: Value = eqx.field(converter=_value, default=0.0)


class Periodic(eqx.Module):
    """The axis closes on itself; both sides of an axis or neither."""


class Outflow(eqx.Module):
    """Zero-order extrapolation: waves leave without reflection (LeVeque 2002, sec.
    7.3.1).
    """


class Reflective(eqx.Module):
    """Solid wall: the normal velocity is mirrored, all else copied (LeVeque 2002, sec.
    7.3.3).
    """


class Seam(eqx.Module):
    """Where the block of one device meets the next one's, along a mesh axis in
    `jax.shard_map`.

    Attributes: outer: the condition on this side of the whole grid; it acts on the
        outermost block. mesh_axis: the name of the mesh axis along which the blocks are
        neighbours.
    """

    outer: "Dirichlet | Neumann | Robin | Flux | Periodic | Outflow | Reflective"
    mesh_axis: str = eqx.field(static=True)


Condition: TypeAlias = (
    Dirichlet | Neumann | Robin | Flux | Periodic | Outflow | Reflective | Seam
)
_KINDS = (Dirichlet, Neumann, Robin, Flux, Periodic, Outflow, Reflective, Seam)


class Boundary(eqx.Module):
    """Conditions on all sides of a box: per axis a pair (lower, upper), or one for both
    sides.

    >>> Boundary((Dirichlet(1.0), Neumann(0.0)), Periodic()).ndim
    2
    """

    sides: tuple[tuple[Condition, Condition], ...]

    def __init__(self, *axes: Condition | tuple[Condition, Condition]):
        pairs = [
            tuple(axis) if isinstance(axis, tuple | list) else (axis, axis)
            for axis in axes
        ]
        for axis, pair in enumerate(pairs):
            require(
                len(pair) == 2 and all(isinstance(c, _KINDS) for c in pair),
                "a condition, or a pair (lower, upper), for each axis",
                f"{pair!r} on axis {axis}",
                "e.g. Boundary((Dirichlet(0.0), Neumann(0.0)), Periodic()) in the plane; use "
                "Dirichlet, Neumann, Robin, Flux, Periodic, Outflow or Reflective",
            )
            periodic = [isinstance(c, Periodic) for c in pair]
            require(
                all(periodic) or not any(periodic),
                "Periodic on both sides of an axis or on neither",
                f"one periodic side on axis {axis}",
                "pass Periodic() once for the axis",
            )
        self.sides = tuple((pair[0], pair[1]) for pair in pairs)

    @property
    def ndim(self) -> int:
        """Number of space axes."""
        return len(self.sides)

    def is_periodic(self, axis: int) -> bool:
        """Whether an axis closes on itself."""
        return isinstance(self.sides[axis][0], Periodic)

    def seams(self) -> tuple[str, ...]:
        """The mesh axes along which the grid is divided among devices."""
        return tuple(
            pair[0].mesh_axis for pair in self.sides if isinstance(pair[0], Seam)
        )

    def at(self, t: ArrayLike) -> "Boundary":
        """The same conditions with every function of time evaluated at `t`."""
        t = jnp.asarray(t, dtype=jnp.result_type(float))
        return jax.tree.map(
            lambda leaf: leaf(t) if callable(leaf) else leaf, self, is_leaf=callable
        )


def one_sided_derivative(positions: Float[Array, " s"]) -> Float[Array, " s"]:
    """Coefficients c of the order-q one-sided difference: u'(x_0) ≈ Σ c_s u(x_s).

    Shapes: q + 1 positions, the first one at the boundary; any distinct positions, so a
    mirrored order gives the other side. Exact for polynomials of degree q.

    Source: derivative of the Lagrange interpolant in barycentric form (Berrut and
    Trefethen, SIAM Review 46 (2004) 501, eq. 9.4).

    >>> one_sided_derivative(jnp.array([0.0, 1.0, 2.0])).tolist()
    [-1.5, 2.0, -0.5]
    """
    require(
        positions.shape[0] >= 2, "2 or more positions", positions.shape[0], "order >= 1"
    )
    gaps = positions[:, None] - positions[None, :]
    gaps = gaps + jnp.eye(positions.shape[0], dtype=positions.dtype)
    w = 1 / jnp.prod(gaps, axis=1)
    rest = (w[1:] / w[0]) / (positions[0] - positions[1:])
    return jnp.concatenate([-jnp.sum(rest)[None], rest])
