"""Whether a problem and its state are sound, and how fast waves cross the cells."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, inexact_leaves, is_traced, require
from physcon._extremes import largest_of
from physcon._mesh import largest
from physcon._typing import Array, ArrayLike, Bool, Float, PyTree, Scalar
from physcon.boundary import Robin
from physcon.fv.problem import Problem
from physcon.fv.protocols import cfl_limits_of, limiting_part
from physcon.fv.unstructured import MeshProblem


def require_sound(problem: Problem | MeshProblem) -> None:
    """Raise ValueError for a problem that is known to have no solution.

    Values that are traced are judged by the outcome of the run instead.
    """
    problem.require_cells()
    for where, condition in problem.conditions():
        _require_condition(condition, where)


def _require_condition(condition: object, where: str) -> None:
    kind = type(condition).__name__
    for value in inexact_leaves(condition):
        require(
            is_traced(value) or bool(np.isfinite(value).all()),
            f"finite values in {kind} on {where}",
            value,
            "check the boundary condition",
        )
    require(
        not _is_empty(condition),
        f"a or b other than zero in Robin on {where}",
        "a = b = 0",
        "use Outflow() if nothing is known there",
    )


def _is_empty(condition: object) -> bool:
    """Whether a condition is known to be 0 u + 0 ∂u/∂x = value."""
    if not isinstance(condition, Robin):
        return False
    a, b = condition.a, condition.b
    if callable(a) or callable(b) or is_traced(a) or is_traced(b):
        return False
    return bool(np.any((np.asarray(a) == 0) & (np.asarray(b) == 0)))


def require_step_size(
    problem: Problem | MeshProblem, cfl: ArrayLike, dt: ArrayLike | None
) -> None:
    """Raise ValueError for a step size that is known to be useless or unstable."""
    if dt is not None:
        known = concrete(dt)
        positive = known is None or bool(np.all(known > 0))
        require(positive, "dt > 0", dt, "pass a positive time step")
        return
    known = concrete(cfl)
    if known is None:
        return
    require(
        bool(np.all(np.isfinite(known) & (known > 0))),
        "cfl > 0",
        cfl,
        "0.45 is the default",
    )
    limit = stability_limit(problem)
    require(
        limit is None or bool(np.all(known <= limit)),
        f"cfl <= {limit} with this explicit step",
        cfl,
        "a larger step is unstable: lower cfl, or use an implicit step for diffusion",
    )


def stability_limit(problem: Problem | MeshProblem) -> float | None:
    """The largest stable CFL number of the problem's step, or None if unknown."""
    step = problem.scheme.step
    limits = cfl_limits_of(step)
    if limits is None:
        return None
    diffuses = limiting_part(step, problem.law).diffusion is not None
    return min(limits) if diffuses else limits[0]


def crossed(
    problem: Problem | MeshProblem,
    u: Float[Array, "c *x"],
    t: Scalar,
    seams: tuple[str, ...],
) -> Scalar:
    """The largest number of cells crossed per unit time by what limits the step.

    NaN or infinite where the state is not admissible, or a boundary value not finite.
    """
    now = problem.at(u, t)
    sound = now.admissible(u, seams) & is_finite(now.boundary)
    limiting = replace(now, law=limiting_part(problem.scheme.step, now.law))
    # The maximum propagates NaN, so that one reduction finds the step and any fault.
    fastest = largest_of(jnp.where(sound, limiting.rates(u), jnp.nan))
    for speed in limiting.rates_outside(u):
        fastest = jnp.maximum(fastest, speed)
    return largest(fastest, seams)


def is_finite(boundary: PyTree) -> Bool[Array, ""]:
    """Whether all values of the conditions at one time are finite."""
    leaves = [jnp.all(jnp.isfinite(x)) for x in inexact_leaves(boundary)]
    return jnp.all(jnp.stack(leaves)) if leaves else jnp.ones((), bool)
