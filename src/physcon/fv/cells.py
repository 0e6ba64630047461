"""The tendency of each cell from its own stencil, in one elementwise kernel.

On an accelerator this stores no fluxes: each cell computes both of its own. Nor does it
store ghost cells: a shifted field has them where it leaves the grid.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._derivative_rules import WithDerivative
from physcon._typing import Array, Float, PyTree
from physcon.boundary import Flux
from physcon.fv._cellwise import cellwise
from physcon.fv._pointwise import is_pointwise
from physcon.fv._stage import storing_stages
from physcon.fv.discretisation import Discretisation, surrounded
from physcon.fv.ghost import beyond, difference, outer_sides, pad, take
from physcon.fv.protocols import ghosts_of, unwrapped

#: ``shift(channel, k, axis)``: the values of a channel `k` cells further.
Shift: TypeAlias = Callable[[int, int, int], Array]
#: Stencils of more fields than this read a longer array with ghost cells instead of
#: selections, for which compilers need minutes then.
MOST_SELECTIONS = 65


def by_cell(
    problem: Discretisation, u: Float[Array, "c *x"]
) -> Float[Array, "c *x"] | None:
    """The tendency, cell by cell; None where that does not apply.

    It applies to hyperbolic laws without fields on uniform axes without prescribed
    fluxes. The derivative computes everything again rather than storing it; without a
    force on the cells it is the one of `_by_face`, which differentiates each flux once.
    """
    if not applies(problem, u):
        return None
    if _has_force(problem, u):
        return _by_cell(problem, u)
    arrays, rest = eqx.partition((problem, u), eqx.is_inexact_array)

    @WithDerivative
    def tendency(arrays: PyTree) -> Array:
        return _by_cell(*eqx.combine(arrays, rest))

    @tendency.defjvp
    def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
        def fluxes_once(arrays: PyTree) -> Array:
            return _by_face(*eqx.combine(arrays, rest))

        return tendency(*primals), jax.jvp(fluxes_once, primals, tangents)[1]

    return tendency(arrays)


def _by_cell(problem: Discretisation, u: Array) -> Array:
    """The tendency in one kernel: each cell computes both of its fluxes."""
    law, scheme, grid = problem.law, problem.scheme, problem.grid

    def change(line: Array, axis: int) -> Array:
        width = problem.widths(axis)
        u_left, u_right = scheme.reconstruct(line, law, axis, width)
        flux = law.numerical_flux(scheme.riemann, u_left, u_right, axis)
        force = law.cell_force(u_left, u_right, axis)
        change = -difference(flux, axis)
        change = change if force is None else change + force
        return change.reshape(-1) / width

    def total_change(u: Array) -> list[Array]:
        total = [jnp.zeros(grid.shape, u.dtype)] * u.shape[0]
        line = lines(problem, u, ghosts_of(scheme.reconstruct))
        for axis in range(grid.ndim):
            changes = cellwise(partial(change, axis=axis), line(axis))
            total = [t + c for t, c in zip(total, changes, strict=True)]
        return total

    with storing_stages(False):
        changes = jax.checkpoint(total_change)(u)
    return jnp.stack(jax.lax.optimization_barrier(changes))


def _by_face(problem: Discretisation, u: Array) -> Array:
    """The tendency of a law without a force on cells, with each flux computed once."""
    law, scheme, grid = problem.law, problem.scheme, problem.grid
    ghosts = ghosts_of(scheme.reconstruct)

    def fluxes(cells: Array, axis: int) -> Array:
        window = [1] * grid.ndim
        window[axis] = 2 * ghosts
        faces = grid.shape[axis] + 1
        fields = np.empty((cells.shape[0], *window), object)
        for channel, *place in np.ndindex(fields.shape):
            k = place[axis]
            fields[channel, *place] = take(cells, k, k + faces, axis)[channel]

        def flux(line: Array) -> Array:
            states = scheme.reconstruct(line, law, axis, problem.widths(axis))
            return law.numerical_flux(scheme.riemann, *states, axis).reshape(-1)

        with storing_stages(False):
            return jnp.stack(list(cellwise(flux, fields)))

    total = jnp.zeros_like(u)
    for axis in range(grid.ndim):
        width = problem.widths(axis)
        cells = pad(u, width, problem.sides(axis), ghosts, law, axis)
        flux = jax.checkpoint(partial(fluxes, axis=axis))(cells)
        total = total - difference(flux, axis) / width
    return total


def _has_force(problem: Discretisation, u: Array) -> bool:
    """Whether the law pushes cells by a force that no flux carries."""
    law, reconstruct = problem.law, problem.scheme.reconstruct
    shape = [1] * u.ndim
    shape[:2] = u.shape[0], 2 * ghosts_of(reconstruct) + 1
    line = jax.ShapeDtypeStruct(tuple(shape), u.dtype)

    def force(line: Array) -> Array | None:
        return law.cell_force(*reconstruct(line, law, 0, problem.widths(0)), 0)

    with storing_stages(False):
        return jax.eval_shape(force, line) is not None


def lines(
    problem: Discretisation, u: Float[Array, "c *x"], ghosts: int
) -> Callable[[int], np.ndarray]:
    """A function of an axis: the cells around each cell along it, as fields.

    Shapes: ``(c, ..., 2 ghosts + 1, ...)``, with one entry along the other axes.
    """
    ndim = problem.grid.ndim
    if u.shape[0] * (1 + 2 * ghosts * ndim) > MOST_SELECTIONS:
        shift = _slices(problem, u, ghosts)
    else:
        shift = _selections(problem, u, ghosts)

    def along_axis(axis: int) -> np.ndarray:
        window = [1] * ndim
        window[axis] = 2 * ghosts + 1
        fields = np.empty((u.shape[0], *window), object)
        for channel, *place in np.ndindex(fields.shape):
            fields[channel, *place] = shift(channel, place[axis] - ghosts, axis)
        return fields

    return along_axis


def _selections(problem: Discretisation, u: Array, ghosts: int) -> Shift:
    """A channel shifted along an axis, with its ghost cells selected."""
    ends = [
        beyond(u, problem.widths(axis), problem.sides(axis), ghosts, problem.law, axis)
        for axis in range(problem.grid.ndim)
    ]

    def shift(channel: int, k: int, axis: int) -> Array:
        before, after = ends[axis]
        return shifted(u[channel], (before[channel], after[channel]), k, axis)

    return shift


def _slices(problem: Discretisation, u: Array, ghosts: int) -> Shift:
    """A channel shifted along an axis, as a part of a stored array."""
    ndim = problem.grid.ndim
    stored = jax.lax.optimization_barrier(surrounded(problem, u, ghosts))

    def shift(channel: int, k: int, axis: int) -> Array:
        low = [ghosts + k * (a == axis) for a in range(ndim)]
        high = [start + n for start, n in zip(low, u.shape[1:], strict=True)]
        part = jax.lax.slice(stored, (channel, *low), (channel + 1, *high))
        return jnp.squeeze(part, 0)

    return shift


def shifted(
    field: Float[Array, "*x"],
    ends: tuple[Float[Array, "*p"], Float[Array, "*p"]],
    k: int,
    axis: int,
) -> Float[Array, "*x"]:
    """The values `k` cells further along an axis; `ends` lie before and after it.

    These are bounds and selections, which a compiler fuses with what reads them, and
    not one longer array, which it would store.
    """
    if k == 0:
        return field
    n, g = field.shape[axis], ends[0].shape[axis]
    place = jax.lax.broadcasted_iota(jnp.int32, field.shape, axis)
    inside = _moved(field, -k, n, axis)
    if k < 0:
        end = jax.lax.slice_in_dim(ends[0], g + k, g, axis=axis)
        return jnp.where(place < -k, _moved(end, 0, n, axis), inside)
    end = jax.lax.slice_in_dim(ends[1], 0, k, axis=axis)
    return jnp.where(place < n - k, inside, _moved(end, n - k, n, axis))


def _moved(field: Array, start: int, n: int, axis: int) -> Array:
    """The field from entry `start` on among `n` entries along an axis, else zero."""
    config = [(0, 0, 0)] * field.ndim
    config[axis] = (start, n - start - field.shape[axis], 0)
    return jax.lax.pad(field, jnp.zeros((), field.dtype), config)


def applies(problem: Discretisation, u: Float[Array, "c *x"]) -> bool:
    """Whether a problem can be evaluated cell by cell."""
    uniform = all(h.ndim == 0 for h in problem.grid.spacings)
    return uniform and is_local(problem) and _reads_stencils_only(problem, u)


def _reads_stencils_only(problem: Discretisation, u: Float[Array, "c *x"]) -> bool:
    """Whether a flux depends on its own stencil, and not for example on the largest
    speed of all faces.

    The program of a Riemann solver tells; a reconstruction must be one of ours.
    """
    reconstruct = unwrapped(problem.scheme.reconstruct)
    inner = unwrapped(getattr(reconstruct, "reconstruct", reconstruct))
    ours = all(type(x).__module__.startswith("physcon.") for x in (reconstruct, inner))
    # Numbers of faces that no number of channels equals.
    space = tuple(101 + 2 * k for k in range(problem.grid.ndim))
    faces = jax.ShapeDtypeStruct((u.shape[0], *space), u.dtype)
    flux = partial(problem.law.numerical_flux, problem.scheme.riemann, axis=0)
    return ours and is_pointwise(flux, faces, faces)


def is_local(problem: Discretisation) -> bool:
    """Whether all faces have one formula: no diffusion, field or prescribed flux."""
    leaves = jax.tree.leaves((problem.law, problem.scheme))
    numbers_only = all(jnp.ndim(leaf) == 0 for leaf in leaves)
    prescribed = any(
        isinstance(condition, Flux)
        for sides in problem.boundary.sides
        for condition in outer_sides(sides)
    )
    return problem.law.diffusion is None and numbers_only and not prescribed
