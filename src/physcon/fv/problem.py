"""A semi-discrete problem: du/dt = problem(u, t), the tendency of cell averages."""

import jax.numpy as jnp

from physcon._typing import Array, Float, Scalar
from physcon.fv._stage import resolved, storing_stages
from physcon.fv.cells import by_cell
from physcon.fv.discretisation import Discretisation
from physcon.fv.protocols import Source, forcing
from physcon.fv.sweep import by_axis


class Problem(Discretisation):
    """All that a time step needs: ``problem(u, t)`` is the tendency.

    Attributes:
        source: ``source(u, t)``, a tendency added to the one of the fluxes, or None.
    """

    source: Source | None = None

    def __call__(self, u: Float[Array, "c *x"], t: Scalar) -> Float[Array, "c *x"]:
        forced = None if self.source is None else self.forcing(u, t)
        change = _change(self.at(u, t), u)
        return change if forced is None else change + forced

    def forcing(self, u: Float[Array, "c *x"], t: Scalar) -> Float[Array, "c *x"]:
        """The source in the dtype of the state, zero where there is none."""
        if self.source is None:
            return jnp.zeros_like(u)
        return forcing(self.source, u, t)


def _change(problem: Discretisation, u: Array) -> Array:
    """The tendency of the fluxes, in the way that the scheme chooses."""
    evaluate = resolved(problem.scheme.evaluate)
    if evaluate == "cells":
        change = by_cell(problem, u)
        if change is not None:
            return change
    with storing_stages(evaluate == "staged"):
        return by_axis(problem, u)
