"""Finite volumes on a grid that is divided among devices.

The functions of `physcon.fv` run unchanged on each block. The side of a block is a
`Seam`: its ghost cells are copies of the neighbour's cells (`ppermute`), or physical
ghost cells on the outermost blocks. All blocks take the same time step (`pmax`). For
each tendency, two messages cross each seam, as wide as the stencil of the
reconstruction.

A law, source or event that holds arrays over the grid needs a method ``on_block(cut)``
that returns a copy with each array cut, as `physcon.fv.Advection` has. Other sources
and Riemann solvers must act point by point, which is checked. An implicit step along a
divided axis gathers four numbers per line and block.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from physcon import fv
from physcon._checks import is_traced, require
from physcon._mesh import Axes, by_device, check_axes
from physcon._numerics.float64 import cast
from physcon._status import severity
from physcon._typing import Array, ArrayLike, Float, PyTree
from physcon.boundary import Boundary
from physcon.fv._pointwise import check_pointwise
from physcon.fv._solution import settled
from physcon.fv._solve import Run, integrate, prepared_run
from physcon.fv.protocols import Divisible
from physcon.fv.semidiscrete import DEFAULT, Source
from physcon.fv.stated import stated
from physcon.grid import Grid
from physcon.mesh import Mesh as CellMesh
from physcon.parallel import on_mesh
from physcon.parallel.cut import Cut, is_divisible, nodes, restricted, seams


def tendency(
    u: Float[Array, "c *x"],
    law: Any,
    grid: Grid | CellMesh,
    boundary: Boundary | Mapping[str, Any],
    scheme: fv.Scheme = DEFAULT,
    t: ArrayLike = 0.0,
    source: Source | None = None,
    *,
    mesh: Mesh,
    axes: Axes,
) -> Float[Array, "c *x"]:
    """`physcon.fv.tendency` on a divided grid, equal to it up to rounding.

    Args:
        u, law, grid, boundary, scheme, t, source: as in `physcon.fv.tendency`.
        mesh: the devices.
        axes: for each grid axis, the mesh axis that divides it, or None; for the cells
            of a `physcon.mesh.Mesh` one name.

    Raises:
        ValueError: if the devices do not divide the grid evenly, or if blocks are
            narrower than the stencil.
    """
    t = jnp.asarray(t, u.dtype)
    problem = stated(law, grid, boundary, scheme, source)
    where = mesh, axes, P(None, *axes)
    return _on_blocks(_tendency, problem, u, {"t": t}, {}, where)


def solve(
    u: Float[Array, "c *x"],
    law: Any,
    grid: Grid | CellMesh,
    boundary: Boundary | Mapping[str, Any],
    scheme: fv.Scheme = DEFAULT,
    *,
    mesh: Mesh,
    axes: Axes,
    times: ArrayLike | Sequence[ArrayLike],
    start: ArrayLike = 0.0,
    cfl: ArrayLike = 0.45,
    dt: ArrayLike | None = None,
    source: Source | None = None,
    event: Any = None,
    stop: bool = True,
    max_steps: int = 100_000,
    loop: str = "while",
    throw: bool = True,
) -> fv.Solution:
    """`physcon.fv.solve` on a divided grid, with the same steps.

    The results are equal up to rounding.

    Args:
        mesh, axes: as in `tendency`; all other arguments are as in `physcon.fv.solve`.

    Raises:
        ValueError: as in `tendency` and in `physcon.fv.solve`.
        RuntimeError: for a failure under `throw` and outside jit. Inside jit check the
            outcome, because an error on one of several devices would end the process.
    """
    _require_divisible(event, grid)
    problem = stated(law, grid, boundary, scheme, source)
    run = prepared_run(problem, u, times, start, cfl, dt)
    numbers = {"run": run, "event": event}
    limits = {"max_steps": max_steps, "loop": loop, "stop": stop}
    happened = None if event is None else (P(), P(), P(None, *axes))
    layout = _Results(P(None, None, *axes), P(), P(), P(), happened)
    where = mesh, axes, layout
    *states, happened = _on_blocks(_solve, problem, u, numbers, limits, where)
    happened = None if happened is None else fv.Event(*happened)
    solution = fv.Solution(run.clock.times, *states, event=happened)
    # An error in a callback on one of several devices would end the whole process.
    known = not is_traced(severity(solution.outcome))
    return settled(solution, (problem, u, numbers), throw and known)


def _require_divisible(event: Any, grid: Grid | CellMesh) -> None:
    """Raise ValueError for an event that can't be looked for on blocks."""
    require(
        event is None or isinstance(grid, Grid),
        "no event on a divided mesh",
        type(event).__name__,
        "look for it between the saved times",
    )
    require(
        event is None or isinstance(event, Divisible),
        "an event with a method on_block(cut), where the grid is divided",
        type(event).__name__,
        "use fv.Arrival, or sum over devices in your own (physcon.parallel.domain)",
    )


class _Results(NamedTuple):
    """The fields of `physcon.fv.Solution` after the times, or their partition specs."""

    u: Any
    steps: Any
    outcome: Any
    t: Any
    event: Any


def _tendency(problem: fv.Problem | fv.MeshProblem, u: Array, t: Array) -> Array:
    return problem(u, t)


def _solve(
    problem: fv.Problem | fv.MeshProblem, u: Array, run: Run, event: Any, **limits: Any
) -> _Results:
    found = integrate(problem, u, run, event, **limits)
    event = found.event
    happened = None if event is None else (event.found, event.t, event.u)
    return _Results(found.u, found.steps, found.outcome, found.t, happened)


def _on_blocks(
    fn: Callable[..., Any],
    problem: fv.Problem | fv.MeshProblem,
    u: Array,
    numbers: dict[str, Any],
    settings: dict[str, Any],
    where: tuple[Mesh, Axes, Any],
) -> Any:
    """``fn(problem, u, **numbers, **settings)`` on every block of a grid or a mesh."""
    problem.require_state(u)
    if isinstance(problem, fv.MeshProblem):
        return on_mesh.spread(fn, problem, u, numbers, settings, where)
    return _divided(fn, problem, u, numbers, settings, *where)


@eqx.filter_jit
def _divided(
    fn: Callable[..., PyTree],
    problem: fv.Problem,
    u: Array,
    numbers: dict[str, Any],
    settings: dict[str, Any],
    mesh: Mesh,
    axes: Axes,
    out_specs: PyTree,
) -> PyTree:
    """Call ``fn(problem, u, **numbers, **settings)`` on every block."""
    grid = problem.grid
    shape = problem.grid.shape
    check_axes(mesh, axes, shape)
    # A block has no seam with itself.
    axes = tuple(k if k and mesh.shape[k] > 1 else None for k in axes)
    blocks = tuple(
        n // (mesh.shape[k] if k else 1) for n, k in zip(shape, axes, strict=True)
    )
    spacings = tuple(
        P(k) if h.ndim else P() for h, k in zip(grid.spacings, axes, strict=True)
    )
    lengths = (grid.coordinates, grid.spacings), (tuple(P(k) for k in axes), spacings)
    law, _, boundary, scheme = problem.parts()
    arrays, static = eqx.partition(
        (law, boundary, scheme, problem.source, numbers), eqx.is_array
    )

    def on_block(u: Array, lengths: PyTree, arrays: PyTree) -> PyTree:
        law, boundary, scheme, source, numbers = eqx.combine(arrays, static)
        cut = Cut(shape, blocks, axes)
        coordinates, spacings = lengths
        block = Grid(coordinates, spacings, grid.location)
        sides = seams(boundary, cut)
        if (
            source is not None
            and any(axes)
            and not any(map(is_divisible, nodes(source)))
        ):
            check_pointwise("a source", source, u, jnp.zeros((), u.dtype))
        law, source, numbers = (restricted(x, cut) for x in (law, source, numbers))
        if any(axes) and not is_divisible(scheme.riemann):
            _check_riemann(scheme.riemann, law, u)
        problem = fv.Problem(law, block, sides, scheme, source)
        return fn(problem, u, **numbers, **settings)

    in_specs = P(None, *axes), lengths[1], P()
    return by_device(on_block, mesh, in_specs, out_specs)(u, lengths[0], arrays)


def _check_riemann(riemann: Any, law: Any, u: Array) -> None:
    """Raise ValueError for a flux that reads more than the states at its own face.

    For example, a flux with the largest speed over all faces would use the largest
    speed of its block instead.
    """
    law = law.hyperbolic
    if law is not None:
        faces = jax.ShapeDtypeStruct(
            (u.shape[0], u.shape[1] + 1, *u.shape[2:]), u.dtype
        )
        flux: Any = partial(cast(law, u.dtype).numerical_flux, riemann)
        check_pointwise("a law with a Riemann solver", flux, faces, faces)
