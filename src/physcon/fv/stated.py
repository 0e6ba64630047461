"""The problem that the arguments of `solve` and `tendency` state."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from physcon._checks import require, require_given
from physcon._numerics.closure import if_plain
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
    return replace(problem, boundary=sides, source=source), if_plain(event, state, now)
