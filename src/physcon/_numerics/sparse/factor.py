"""Multifrontal Cholesky factorisation in batches of equally padded fronts.

Each front holds the rows of its pivots and what the elimination leaves for the unknowns
further up in the tree. Children are added to their parents by gathers: the same program
with scatter-adds is some twenty times slower.

Rows that others imply have no pivot left. They are found by two further passes with
small multiples of the identity added, and are then left out of the system.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._numerics.sparse.analysis import Levels, Pattern
from physcon._numerics.sparse.gathers import (
    pick,
    pick_square,
    product,
    transpose,
)
from physcon._numerics.sparse.sweeps import from_leaves
from physcon._typing import Array, Bool, Float, Int


class Front(NamedTuple):
    """The factor of a group of depths: L⁻¹ with F_pp = L Lᵀ, and W = L⁻¹ F_pb."""

    whitener: Float[Array, "g k p p"]
    coupling: Float[Array, "g k p b"]


class Factored(eqx.Module):
    """d S d = L Lᵀ on the rows that are kept.

    Attributes:
        pattern: the analysed pattern of S.
        fronts: from the root to the leaves.
        scale: d, ``(m,)``: powers of two, so that the scaled diagonal is about 1.
        kept: ``(m,)``, false for rows that others imply, or that see no variance.
        regular: whether a factor was found; false after a NaN.
    """

    pattern: Pattern
    fronts: tuple[Front, ...]
    scale: Float[Array, " m"]
    kept: Bool[Array, " m"]
    regular: Bool[Array, ""]


#: The multiple of the rounding error that is added to find rows without a pivot.
_SHIFT = 256
_LARGEST_BOOST = 16.0**3


class _State(NamedTuple):
    factor: Float[Array, " w"]  # all fronts in one array: XLA compiles it sooner
    pivots: Float[Array, " m"]
    kept: Bool[Array, " m"]
    shift: Float[Array, ""]
    boost: Float[Array, ""]
    count: Int[Array, ""]
    positive: Bool[Array, ""]  # all pivots of the last pass
    done: Bool[Array, ""]


def factorise(
    pattern: Pattern,
    entries: Float[Array, " s"],
    present: Bool[Array, " m"] | None = None,
    trusted: Bool[Array, ""] | bool = False,
) -> Factored:
    """Factor the matrix with the stored `entries`.

    A pivot of a row that others imply is proportional to the multiple of the identity
    that is added, and every other pivot hardly depends on it. This test needs no bound
    on the rounding errors of an elimination.

    Args:
        present: ``(m,)``, false for unknowns to leave out; None: all take part.
        trusted: no row is implied by others. The first pass, with rounding errors added
            to the diagonal, is then enough if it leaves pivots.
    """
    m = pattern.size
    eps = float(jnp.finfo(entries.dtype).eps)
    diagonal = entries[:m]
    seen = ~(diagonal <= 0) if present is None else ~(diagonal <= 0) & present
    exponent = jnp.round(-0.5 * jnp.log2(jnp.where(seen, diagonal, 1)))
    scale = jnp.exp2(exponent)
    scaled = _scaled(pattern, scale, entries)
    finite = jnp.all(jnp.isfinite(scaled))

    def attempt(s: _State) -> _State:
        fronts = _eliminate(pattern, _without(pattern, scaled, s.kept), s.shift)
        pivots = _pivots(pattern, fronts)
        # Passes: 0 as it is, 1 and 2 shifted, 3 the rows that are left. If one that
        # hardly differs from others has no pivot then, the shifts grow.
        dependent = ~(pivots < 1.5 * s.pivots)
        kept = s.kept & ~((s.count == 2) & dependent)
        least = jnp.where((s.count > 0) | trusted, 0, eps * (50 + 4 * m))
        positive = jnp.all(pivots > least)
        failed = (s.count == 3) & ~positive & (s.boost < _LARGEST_BOOST)
        done = jnp.where(s.count == 0, positive, (s.count == 3) & ~failed)
        kept = jnp.where(failed, seen, kept)
        boost = jnp.where(failed, 16 * s.boost, s.boost)
        count = jnp.where(failed, 1, s.count + 1)
        times = jnp.where(count < 3, count, 0).astype(scaled.dtype)
        shift = times * boost * _SHIFT * eps
        flat = jnp.concatenate([x.reshape(-1) for x in jax.tree.leaves(fronts)])
        return _State(flat, pivots, kept, shift, boost, count, positive, done)

    zero = jnp.zeros((), scaled.dtype)
    empty = jnp.zeros(pattern.factor_size, scaled.dtype)
    unknown = jnp.zeros(m, scaled.dtype)
    shift = jnp.where(trusted, _SHIFT * eps, zero)
    no = jnp.zeros((), bool)
    start = _State(empty, unknown, seen, shift, zero + 1, jnp.int32(0), no, ~finite)
    found = jax.lax.while_loop(lambda s: ~s.done, attempt, start)
    regular = finite & found.positive
    fronts = _unflatten(pattern, found.factor)
    return Factored(pattern, fronts, scale, found.kept, regular)


def _unflatten(pattern: Pattern, flat: Float[Array, " w"]) -> tuple[Front, ...]:
    fronts = []
    start = 0
    for level in pattern.levels:
        pieces = []
        for shape in (level.shape, level.coupling_shape):
            size = math.prod(shape)
            pieces.append(flat[start : start + size].reshape(shape))
            start += size
        fronts.append(Front(*pieces))
    return tuple(fronts)


def _scaled(
    pattern: Pattern, scale: Float[Array, " m"], entries: Float[Array, " s"]
) -> Float[Array, " s"]:
    return pick(scale, pattern.row) * entries * pick(scale, pattern.column)


def scaled(factored: Factored, entries: Float[Array, " s"]) -> Float[Array, " s"]:
    """The stored entries of d S d."""
    return _scaled(factored.pattern, factored.scale, entries)


def refactor(factored: Factored, scaled: Float[Array, " s"]) -> tuple[Front, ...]:
    """The fronts of another matrix near to the one that was factored.

    Unlike `factorise` it has a derivative in reverse mode.

    Args:
        scaled: from `scaled`.
    """
    entries = _without(factored.pattern, scaled, factored.kept)
    return _eliminate(factored.pattern, entries, 0.0)


def _without(
    pattern: Pattern, entries: Float[Array, " s"], kept: Bool[Array, " m"]
) -> Float[Array, " s"]:
    """The entries, with the identity's in rows and columns that are not kept."""
    both = kept[pattern.row] & kept[pattern.column]
    on_diagonal = pattern.row == pattern.column
    return jnp.where(both, entries, on_diagonal.astype(entries.dtype))


def _eliminate(
    pattern: Pattern, entries: Float[Array, " s"], shift: Array | float
) -> tuple[Front, ...]:
    m = pattern.size
    ends = jnp.arange(2, dtype=entries.dtype)
    stored = jnp.concatenate([entries[:m] + shift, entries[m:], ends])
    rest = jnp.zeros((0, 0, 0), entries.dtype)
    fronts = []
    for levels in pattern.levels[::-1]:

        def step(children: Array, level: Levels) -> tuple[Array, Front]:
            rows, rest = _assemble(level, stored, children)
            p = level.pivots.shape[1]
            lower = jax.lax.linalg.cholesky(rows[:, :, :p], symmetrize_input=False)
            eye = jnp.broadcast_to(jnp.eye(p), lower.shape)
            whitener = jax.lax.linalg.triangular_solve(
                lower, eye, left_side=True, lower=True
            )
            coupling = product(whitener, rows[:, :, p:])
            rest = rest - product(transpose(coupling), coupling)
            return rest, Front(whitener, coupling)

        rest, front = from_leaves(step, rest, levels)
        fronts.append(front)
    return tuple(fronts[::-1])


def _assemble(
    level: Levels, stored: Array, children: Array
) -> tuple[Float[Array, "k p f"], Float[Array, "k b b"]]:
    """The rows of the pivots, and what the children leave for the further unknowns."""
    k, p = level.pivots.shape
    f = level.entries.shape[2]
    rows = pick(stored, level.entries)
    if children.shape[1] == 0:
        return rows, jnp.zeros((k, f - p, f - p), stored.dtype)
    taken = pick_square(children, level.take)
    both = taken.reshape(k, 2, f, f).sum(axis=1)
    return rows + both[:, :p], both[:, p:, p:]


def _pivots(pattern: Pattern, fronts: tuple[Front, ...]) -> Float[Array, " m"]:
    """The squared diagonal of L, in the order of the unknowns."""
    pieces = [jnp.diagonal(f.whitener, axis1=2, axis2=3).reshape(-1) for f in fronts]
    return pick(jnp.concatenate(pieces), pattern.unknown) ** -2


def pivots(factored: Factored) -> Float[Array, " m"]:
    """The pivots of the scaled matrix, in the order of the unknowns."""
    return _pivots(factored.pattern, factored.fronts)
