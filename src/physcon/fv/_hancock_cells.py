"""A step of MUSCL-Hancock cell by cell: one kernel, which stores nothing on the way.

Each cell computes the half step of its neighbours again. See `physcon.fv.hancock` for
the method, and `physcon.fv.cells` for the reason.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Float, Scalar
from physcon.boundary import Dirichlet, Seam
from physcon.fv._cellwise import cellwise
from physcon.fv._half_step import keeps_sense, require_no_force, state_outside
from physcon.fv.cells import applies, shifted
from physcon.fv.discretisation import Discretisation
from physcon.fv.ghost import Sides, beyond, difference, is_periodic, take
from physcon.fv.problem import Problem

Pair: TypeAlias = tuple[Array, Array]


def is_by_cell(problem: Problem, u: Float[Array, "c *x"]) -> bool:
    """Whether `step_by_cell` applies: as for tendencies, but to whole grids without a
    source.
    """
    divided = any(isinstance(sides[0], Seam) for sides in problem.boundary.sides)
    return applies(problem, u) and not divided and problem.source is None


def step_by_cell(
    problem: Problem, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """The state after one step."""
    before, after = problem.at(u, t), problem.at(u, t + 0.5 * dt)
    cells = _neighbours(before, u)
    total = list(u)
    for axis in range(before.grid.ndim):
        change = _change(before, after.sides(axis), cells, u, dt, axis)
        total = [a + dt * b for a, b in zip(total, change, strict=True)]
    return jnp.stack(jax.lax.optimization_barrier(total))


def _neighbours(
    problem: Discretisation, u: Array
) -> Callable[[tuple[int, ...]], np.ndarray]:
    """A function of an offset along one or two axes: the cells there, as fields."""
    law, ndim = problem.law, problem.grid.ndim
    ends = [
        beyond(u, problem.widths(axis), problem.sides(axis), 2, law, axis)
        for axis in range(ndim)
    ]

    def cells(offset: tuple[int, ...]) -> np.ndarray:
        out = np.empty(u.shape[0], object)
        for channel in range(u.shape[0]):
            own = [(before[channel], after[channel]) for before, after in ends]
            field = u[channel]
            for axis, k in enumerate(offset):
                first = next((a for a in range(axis) if offset[a]), None)
                near = own[axis]
                if first is not None:
                    wraps = is_periodic(problem.sides(axis))
                    near = _displaced(
                        near, own[first], offset[first], first, axis, wraps
                    )
                field = shifted(field, near, k, axis)
            out[channel] = field
        return out

    return cells


def _displaced(
    ends: Pair, others: Pair, k: int, first: int, axis: int, wraps: bool
) -> Pair:
    """The cells beyond both sides of `axis`, `k` cells further along the `first` axis.

    Args: others: the cells beyond the sides of the first axis.
    """
    if not wraps:  # the grid wraps along the first axis, or nothing reads these cells
        return jnp.roll(ends[0], -k, first), jnp.roll(ends[1], -k, first)
    n, g = others[0].shape[axis], ends[0].shape[axis]

    def end(which: int, start: int) -> Array:
        corners = [
            jax.lax.slice_in_dim(other, start, start + g, axis=axis) for other in others
        ]
        return shifted(ends[which], (corners[0], corners[1]), k, first)

    return end(0, n - g), end(1, 0)


def _change(
    problem: Discretisation,
    sides: Sides,
    cells: Callable[[tuple[int, ...]], np.ndarray],
    u: Array,
    dt: Scalar,
    axis: int,
) -> np.ndarray:
    """The rate of change of each cell by the fluxes along an axis, as fields."""
    law, width = problem.law, problem.widths(axis)
    ends = [_ends(problem, cells, dt, axis, k) for k in (-1, 0, 1)]
    before = _next(ends[0][1], ends[1][0], 0, sides, law, axis, u)
    after = _next(ends[2][0], ends[1][1], 1, sides, law, axis, u)

    def change(left: Array, right: Array) -> Array:
        flux = law.numerical_flux(problem.scheme.riemann, left, right, axis)
        require_no_force(law.cell_force(left, right, axis), law)
        return -difference(flux, axis).reshape(-1) / width

    left = _laid(np.stack([before, ends[1][1]], 1), problem.grid.ndim, axis)
    right = _laid(np.stack([ends[1][0], after], 1), problem.grid.ndim, axis)
    return cellwise(change, left, right)


def _ends(
    problem: Discretisation,
    cells: Callable[[tuple[int, ...]], np.ndarray],
    dt: Scalar,
    axis: int,
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The states at both faces of the cell `k` cells further, half a step later."""
    law, ndim = problem.law, problem.grid.ndim
    reconstruct: Any = problem.scheme.reconstruct

    def moved(*lines: Array) -> tuple[Array, Array]:
        faces = [
            reconstruct.cell_faces(line, law, a, problem.widths(a))
            for a, line in enumerate(lines)
        ]
        half = jnp.zeros_like(faces[0][0])
        for a, (lower, upper) in enumerate(faces):
            change = law.flux(lower, a) - law.flux(upper, a)
            half = half + 0.5 * dt * change / problem.widths(a)
        lower, upper = faces[axis]
        sound = keeps_sense(lower, upper, half, law)
        lower, upper = lower + half, upper + half
        if sound is not None:
            u = take(lines[axis], 1, 2, axis)
            lower = jnp.where(sound > 0, lower, u)
            upper = jnp.where(sound > 0, upper, u)
        return lower.reshape(-1), upper.reshape(-1)

    lines = []
    for a in range(ndim):
        places = []
        for step in (-1, 0, 1):
            offset = [0] * ndim
            offset[axis] += k
            offset[a] += step
            places.append(cells(tuple(offset)))
        lines.append(_laid(np.stack(places, 1), ndim, a))
    return cellwise(moved, *lines)


def _laid(numbers: np.ndarray, ndim: int, axis: int) -> np.ndarray:
    """Numbers ``(c, n)`` along one of `ndim` axes."""
    shape = [1] * ndim
    shape[axis] = numbers.shape[1]
    return numbers.reshape(-1, *shape)


def _next(
    neighbour: np.ndarray,
    inner: np.ndarray,
    side: int,
    sides: Sides,
    law: Any,
    axis: int,
    u: Array,
) -> np.ndarray:
    """The neighbour's state at the face, or what lies outside next to a side."""
    if is_periodic(sides):
        return neighbour
    condition = sides[side]
    if isinstance(condition, Dirichlet):
        given = state_outside(u, condition, law, axis)
    else:
        given = cellwise(lambda w: state_outside(w, condition, law, axis), inner)
    place = side * (u.shape[1 + axis] - 1)
    at = jax.lax.broadcasted_iota(jnp.int32, u.shape[1:], axis) == place
    out = np.empty(len(inner), object)
    for channel, field in enumerate(neighbour):
        out[channel] = jnp.where(at, given[channel], field)
    return out
