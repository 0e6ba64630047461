"""The problem that the arguments of `solve` and `tendency` state."""

from collections.abc import Mapping
from dataclasses import replace
from types import FunctionType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from physcon._checks import require, require_given
from physcon._numerics.closure import Known, description, if_plain
from physcon._typing import Array
from physcon.boundary import Boundary
from physcon.fv.problem import Problem
from physcon.fv.protocols import Source
from physcon.fv.scheme import Scheme
from physcon.fv.unstructured import MeshProblem, mesh_problem
from physcon.grid import Grid
from physcon.mesh import Mesh


def stated(
    law: Any,
    grid: Grid | Mesh,
    boundary: Boundary | Mapping[str, Any],
    scheme: Scheme,
    source: Source | None = None,
) -> Problem | MeshProblem:
    """The problem on a grid or on a mesh."""
    require_given(scheme, Scheme, "scheme")
    if isinstance(grid, Mesh):
        patches: Any = boundary
        return mesh_problem(law, grid, patches, scheme, source)
    require(
        isinstance(boundary, Boundary),
        "a Boundary for a Grid",
        f"a {type(boundary).__name__}",
        "use for example Boundary(Outflow())",
    )
    assert isinstance(boundary, Boundary)
    return Problem(law, grid, boundary, scheme, source)


def by_content(
    problem: Problem | MeshProblem, event: Any, u: Array
) -> tuple[Problem | MeshProblem, Any]:
    """The problem and event, with their functions compared by what they compute.

    A source, an event or a boundary value that is written anew for each call then
    compiles nothing anew, and a value that it reads is never out of date.
    """
    state = jax.ShapeDtypeStruct(u.shape, u.dtype)
    now = jax.ShapeDtypeStruct((), u.dtype)
    at_side = jax.ShapeDtypeStruct((), jnp.result_type(float))
    sides = jax.tree.map(lambda leaf: if_plain(leaf, at_side), problem.boundary)
    source = if_plain(problem.source, state, now)
    problem = replace(problem, boundary=sides, source=source)
    event = if_plain(event, state, now)
    return replace(problem, scheme=_scheme_by_content(problem, state, now)), event


def _scheme_by_content(problem: Any, state: Any, now: Any) -> Scheme:
    """The scheme; functions of the user's own in it are compared by what they compute.

    They take laws and problems, not only arrays, so that the program of a whole step
    describes them, with the values of the arrays that they close over.
    """
    scheme = problem.scheme
    parts = {name: getattr(scheme, name) for name in _CHOICES}
    own = {name: fn for name, fn in parts.items() if _is_own(fn)}
    if not own:
        return scheme
    arrays, rest = eqx.partition(problem, eqx.is_array)

    def step(arrays: Any, u: Array, t: Array, dt: Array) -> Array:
        return scheme.step(eqx.combine(arrays, rest), u, t, dt)

    text = description(step, arrays, state, now, now)
    if text is None:
        return scheme
    attributes = sorted(f"{name} {vars(fn.func)}" for name, fn in own.items())
    text = "\n".join([text, *attributes])
    known = {name: Partial(Known(fn.func, text)) for name, fn in own.items()}
    return replace(scheme, **known)


def _is_own(fn: Any) -> bool:
    """Whether a part of a scheme is a plain function that physcon doesn't define."""
    plain = isinstance(fn, Partial) and isinstance(fn.func, FunctionType)
    if not plain or fn.args or fn.keywords:
        return False
    return not fn.func.__module__.startswith("physcon.")


#: The parts of a scheme that may be functions.
_CHOICES = ("reconstruct", "riemann", "step")
