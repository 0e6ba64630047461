"""The tendency block by block, so that what a stage stores stays in a core's cache.

On a CPU every stage of a scheme is stored (`physcon.fv._stage`). Of a large grid these
arrays come from beyond the second cache, and reading them takes half of the time. A
block of cells goes through all stages before the next one is begun, with the same
operations for every cell.
"""

import math
import os
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import is_traced
from physcon._derivative_rules import WithDerivative
from physcon._typing import Array, Float, PyTree
from physcon.fv import riemann
from physcon.fv._recompute import keeps_tendencies
from physcon.fv._stage import storing_stages
from physcon.fv.cells import is_local
from physcon.fv.discretisation import Discretisation, surrounded
from physcon.fv.ghost import pad_widths, take
from physcon.fv.protocols import ghosts_of, unwrapped
from physcon.fv.reconstruction import MUSCL, Constant
from physcon.fv.sweep import by_axis, net_change, numerical_flux
from physcon.fv.weno import WENO

#: Bytes of the state in a block for each core: an eighth of a cache of one MiB, since a
#: stage and its arguments are some five to ten arrays of this size.
BLOCK_BYTES = 2**17
#: Fewer rows are not worth the ghost cells around them.
LEAST_ROWS = 8
#: Shorter lines along the last axis are not worth the start of a loop.
LEAST_COLUMNS = 512


def by_block(
    problem: Discretisation, u: Float[Array, "c *x"]
) -> Float[Array, "c *x"] | None:
    """The tendency, block by block; None where that does not apply, or does not pay.

    It applies in two and more dimensions, where the flux at a face depends on its
    stencil only. The derivative is the one of whole arrays, and so is the value where a
    reverse pass will ask for it.
    """
    extents = block_of(u)
    if extents == u.shape[1:] or problem.grid.ndim == 1 or keeps_tendencies():
        return None
    traced = any(map(is_traced, jax.tree.leaves((problem, u))))
    if not (traced and is_local(problem) and _is_known(problem)):
        return None
    arrays, rest = eqx.partition((problem, u), eqx.is_inexact_array)

    def whole(arrays: PyTree) -> Array:
        with storing_stages(True):
            return by_axis(*eqx.combine(arrays, rest))

    @WithDerivative
    def tendency(arrays: PyTree) -> Array:
        problem, u = eqx.combine(arrays, rest)
        with storing_stages(True):
            return _by_block(problem, u, extents)

    tendency.defjvp(partial(jax.jvp, whole))
    return tendency(arrays)


def block_of(u: Float[Array, "c *x"]) -> tuple[int, ...]:
    """The cells of a block along each axis, cut along the first axes first."""
    extents = list(u.shape[1:])
    most = BLOCK_BYTES * _cores()
    for axis, n in enumerate(extents):
        least = LEAST_COLUMNS if axis == len(extents) - 1 else LEAST_ROWS
        wanted = u.shape[0] * math.prod(extents) * u.dtype.itemsize / most
        parts = max(1, min(math.ceil(wanted), n // least))
        extents[axis] = -(-n // parts)
    return tuple(extents)


def _cores() -> int:
    """The number of cores among which XLA divides the loops of this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_known(problem: Discretisation) -> bool:
    """Whether the reconstruction and the Riemann solver are ours, and local.

    A function of the user's own may compare all faces, and `Positive` treats the ends
    of an array in a different way.
    """
    scheme = problem.scheme
    reconstructs = type(unwrapped(scheme.reconstruct)) in (Constant, MUSCL, WENO)
    module = getattr(unwrapped(scheme.riemann), "__module__", "")
    return reconstructs and module == riemann.__name__


def _by_block(problem: Discretisation, u: Array, extents: tuple[int, ...]) -> Array:
    """The tendency of one block after another; the last ones overlap others."""
    grid, ghosts = problem.grid, ghosts_of(problem.scheme.reconstruct)
    counts = [-(-n // k) for n, k in zip(grid.shape, extents, strict=True)]
    cells = surrounded(problem, u, ghosts)
    shape = (u.shape[0], *(k + 2 * ghosts for k in extents))
    widths = [
        pad_widths(problem.widths(axis), problem.sides(axis), ghosts)
        for axis in range(grid.ndim)
    ]

    def one(index: Array, out: Array) -> Array:
        start = []
        for n, k, count in zip(grid.shape, extents, counts, strict=True):
            start.append(jnp.minimum(index % count * k, n - k))
            index = index // count
        block = jax.lax.dynamic_slice(cells, (0, *start), shape)
        change = jnp.zeros((u.shape[0], *extents), u.dtype)
        for axis, h in enumerate(widths):
            if h.ndim:
                h = jax.lax.dynamic_slice_in_dim(h, start[axis], shape[1 + axis])
            change = change + _change(problem, block, h, axis)
        return jax.lax.dynamic_update_slice(out, change, (0, *start))

    return jax.lax.fori_loop(0, math.prod(counts), one, jnp.zeros_like(u))


def _change(problem: Discretisation, block: Array, widths: Array, axis: int) -> Array:
    """What the fluxes of an axis change in a block with ghost cells around it."""
    ghosts = ghosts_of(problem.scheme.reconstruct)
    for other in set(range(problem.grid.ndim)) - {axis}:
        block = take(block, ghosts, block.shape[1 + other] - ghosts, other)
    flux, force = numerical_flux(problem, block, widths, axis)
    inner = widths[ghosts : widths.size - ghosts] if widths.ndim else widths
    return net_change(flux, force, inner, axis)
