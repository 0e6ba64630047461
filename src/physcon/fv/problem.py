"""A semi-discrete problem: du/dt = problem(u, t), the tendency of cell averages."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, require
from physcon._extremes import largest_of, smallest_of
from physcon._mesh import largest
from physcon._typing import Array, Bool, Float, Scalar
from physcon.boundary import Boundary, Dirichlet
from physcon.fv._blocks import by_block
from physcon.fv._recompute import recomputed
from physcon.fv._stage import resolved, storing_stages
from physcon.fv.cells import by_cell
from physcon.fv.diffusion.line import line_along
from physcon.fv.discretisation import Discretisation
from physcon.fv.ghost import at_face, outer_sides
from physcon.fv.protocols import Source, forcing
from physcon.fv.sweep import by_axis, crossing_rate, sweep

#: A value below the lower bound of a diffusion counts as rounding, or as the undershoot
#: of an implicit step, up to this share of the largest value.
UNDERSHOOT = 1e-3


class Problem(Discretisation):
    """All that a time step needs: ``problem(u, t)`` is the tendency.

    Attributes:
        source: ``source(u, t)``, a tendency added to the one of the fluxes, or None.
    """

    source: Source | None = None

    @recomputed
    def __call__(self, u: Float[Array, "c *x"], t: Scalar) -> Float[Array, "c *x"]:
        forced = None if self.source is None else self.forcing(u, t)
        change = _change(self.at(u, t), u)
        return change if forced is None else change + forced

    def forcing(self, u: Float[Array, "c *x"], t: Scalar) -> Float[Array, "c *x"]:
        """The source in the dtype of the state, zero where there is none."""
        if self.source is None:
            return jnp.zeros_like(u)
        return forcing(self.source, u, t)

    def face_flux(self, u: Float[Array, "c *x"], axis: int) -> Float[Array, "c *f"]:
        """Fluxes per area through the faces normal to an axis."""
        with storing_stages(resolved(self.scheme.evaluate) == "staged"):
            return sweep(self, u, axis)[0]

    def rates(self, u: Float[Array, "c *x"]) -> Float[Array, "*x"]:
        """Per cell, the cell widths crossed per unit time, summed over the axes."""
        return crossing_rate(self, u)

    def rates_outside(self, u: Float[Array, "c *x"]) -> list[Scalar]:
        """The rates of the states that `Dirichlet` sides let in."""
        law = self.law.hyperbolic
        if law is None or any(jnp.ndim(leaf) for leaf in jax.tree.leaves(law)):
            return []  # a law with fields has its speeds at the cells
        rates = []
        for axis, sides in enumerate(self.boundary.sides):
            width = smallest_of(self.widths(axis))
            shape = (*u.shape[: 1 + axis], 1, *u.shape[2 + axis :])
            like = jnp.zeros(shape, u.dtype)
            for condition in outer_sides(sides):
                if isinstance(condition, Dirichlet):
                    given = at_face(condition.value, like, axis)
                    outside = jnp.broadcast_to(given, shape)
                    rates.append(largest_of(law.max_speed(outside, axis)) / width)
        return rates

    def admissible(
        self, u: Float[Array, "c *x"], seams: tuple[str, ...]
    ) -> Bool[Array, "*x"]:
        """Whether each cell's state makes sense: finite, positive where it must be."""
        law = self.law
        holds = jnp.all(jnp.isfinite(u), axis=0)
        if law.hyperbolic is not None:
            holds = law.hyperbolic.admissible(u)
        if law.diffusion is None:
            return holds
        line = line_along(u, self.widths(0), self.sides(0), 0)
        holds = holds & jnp.all(law.diffusion.coefficient(line.values) >= 0)
        bound = law.diffusion.lower_bound()
        if bound is not None:
            slack = UNDERSHOOT * largest(jnp.abs(u), seams)
            holds = holds & jnp.all(u >= bound - slack, axis=0)
        return holds

    def require_cells(self) -> None:
        """Raise ValueError for cells whose widths are known not to be positive."""
        for axis, spacing in enumerate(self.grid.spacings):
            known = concrete(spacing)
            sound = known is None or bool(np.all(np.isfinite(known) & (known > 0)))
            require(
                sound,
                f"cells of finite, positive width on axis {axis}",
                known,
                "check the bounds of the grid",
            )

    def conditions(self) -> Iterator[tuple[str, Any]]:
        """The name of every side, with its condition."""
        for axis, sides in enumerate(self.boundary.sides):
            pair = zip(("lower", "upper"), outer_sides(sides), strict=True)
            for side, condition in pair:
                yield f"the {side} side of axis {axis}", condition

    def with_conditions(self, fn: Callable[[Any], Any]) -> "Problem":
        """The problem with every condition replaced by ``fn(condition)``."""
        sides = [(fn(lower), fn(upper)) for lower, upper in self.boundary.sides]
        return replace(self, boundary=Boundary(*sides))

    @property
    def parts_of_step(self) -> range:
        """The axes, which an implicit step takes one after another."""
        return range(self.grid.ndim)


def _change(problem: Discretisation, u: Array) -> Array:
    """The tendency of the fluxes, in the way that the scheme chooses."""
    evaluate = resolved(problem.scheme.evaluate)
    if evaluate == "cells":
        change = by_cell(problem, u)
        if change is not None:
            return change
    if evaluate == "staged":
        change = by_block(problem, u)
        if change is not None:
            return change
    with storing_stages(evaluate == "staged"):
        return by_axis(problem, u)
