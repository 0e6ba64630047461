"""The problem of a law on a mesh, from what a user states."""

from typing import Any

import jax

from physcon._checks import is_traced, require, require_given
from physcon.fv.discretisation import require_law
from physcon.fv.protocols import Source, is_implicit
from physcon.fv.scheme import DEFAULT, Scheme
from physcon.fv.unstructured.patches import (
    has_value,
    patch_conditions,
)
from physcon.fv.unstructured.problem import MeshProblem
from physcon.fv.unstructured.stencil import stencil
from physcon.fv.unstructured.two_point import two_point
from physcon.mesh import Mesh


def mesh_problem(
    law: Any,
    mesh: Mesh,
    boundary: Any = None,
    scheme: Scheme = DEFAULT,
    source: Source | None = None,
) -> MeshProblem:
    """The problem of a law on a mesh.

    Args:
        boundary: name of every patch -> condition; None for a mesh without a boundary.

    Raises:
        ValueError: a patch without a condition, an object that is no law, or a mesh
            that is traced by jit.
    """
    require_given(mesh, Mesh, "mesh")
    require(
        not is_traced(mesh.owner),
        "a mesh with known connections",
        "a mesh traced by jit or vmap",
        "build the problem outside of jit, and pass it as an argument",
    )
    require_law(law)
    given = {} if boundary is None else boundary
    conditions = patch_conditions(mesh, given)
    with jax.ensure_compile_time_eval():
        tables = stencil(mesh, has_value(mesh, given))
        matrix = two_point(mesh) if is_implicit(scheme.step) else None
    return MeshProblem(law, mesh, conditions, scheme, tables, source, matrix)
