"""Boundary conditions, shared by the finite volumes, the operators and `condition`.

Boundary values are array leaves: they can be batched, differentiated, and changed
without recompiling. Derivatives are taken along the coordinate axis (∂u/∂x on both
sides), not along the outward normal.
"""

from collections.abc import Callable
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require, require_numbers
from physcon._typing import Array, ArrayLike, Scalar
from physcon.boundary_stencils import one_sided_derivative as one_sided_derivative

#: A boundary value: an array that broadcasts to the face (channels first), or a
#: function of time.
Value: TypeAlias = Array | Callable[[Scalar], Array]


def _value(x: ArrayLike | Callable) -> Value:
    if callable(x):
        return x
    x = require_numbers(x, "a boundary value")
    return jnp.asarray(x, dtype=jnp.result_type(float))


class Dirichlet(eqx.Module):
    """u = value on the side."""

    value: Value = eqx.field(converter=_value, default=0.0)


class Neumann(eqx.Module):
    """∂u/∂x = derivative on the side, along the axis (not the outward normal)."""

    derivative: Value = eqx.field(converter=_value, default=0.0)


class Robin(eqx.Module):
    """a u + b ∂u/∂x = value on the side."""

    a: Value = eqx.field(converter=_value)
    b: Value = eqx.field(converter=_value)
    value: Value = eqx.field(converter=_value, default=0.0)


class Flux(eqx.Module):
    """The numerical flux through the side, positive along the coordinate axis."""

    flux: Value = eqx.field(converter=_value, default=0.0)


class Periodic(eqx.Module):
    """The axis is a circle. Both sides of an axis are periodic, or neither is."""


class Outflow(eqx.Module):
    """Zero-order extrapolation: waves leave without being reflected.

    Source: LeVeque, Finite Volume Methods for Hyperbolic Problems (2002), sec. 7.3.1.
    """


class Reflective(eqx.Module):
    """Solid wall: the normal velocity changes sign, all other components are copied.

    Source: LeVeque, Finite Volume Methods for Hyperbolic Problems (2002), sec. 7.3.3.
    """


class Seam(eqx.Module):
    """The side where the blocks of two devices meet, inside `jax.shard_map`.

    Attributes:
        outer: the condition on this side of the whole grid, for the outermost block.
        mesh_axis: the name of the mesh axis along which the blocks are neighbours.
    """

    outer: "Dirichlet | Neumann | Robin | Flux | Periodic | Outflow | Reflective"
    mesh_axis: str = eqx.field(static=True)


Condition: TypeAlias = (
    Dirichlet | Neumann | Robin | Flux | Periodic | Outflow | Reflective | Seam
)
_KINDS = (Dirichlet, Neumann, Robin, Flux, Periodic, Outflow, Reflective, Seam)


class Boundary(eqx.Module):
    """Conditions on all sides of a box.

    Each argument belongs to one axis: a pair (lower, upper), or one condition for both.

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
                "e.g. Boundary((Dirichlet(0.0), Neumann(0.0)), Periodic()) "
                "in the plane; use Dirichlet, Neumann, Robin, Flux, Periodic, Outflow "
                "or Reflective",
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
        """Whether an axis is periodic."""
        return isinstance(self.sides[axis][0], Periodic)

    def seams(self) -> tuple[str, ...]:
        """Names of the mesh axes that divide the grid among devices."""
        return tuple(
            pair[0].mesh_axis for pair in self.sides if isinstance(pair[0], Seam)
        )

    def at(self, t: ArrayLike) -> "Boundary":
        """The same conditions, with functions of time evaluated at `t`."""
        t = jnp.asarray(t, dtype=jnp.result_type(float))
        return jax.tree.map(
            lambda leaf: leaf(t) if callable(leaf) else leaf, self, is_leaf=callable
        )
