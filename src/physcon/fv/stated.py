"""The problem that the arguments of `solve` and `tendency` state."""

from collections.abc import Mapping
from typing import Any

from physcon._checks import require
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
