"""The determinant, and the inverse where the matrix itself has entries.

Source: Takahashi, Fagan and Chen (1973); Erisman and Tinney, Commun. ACM 18 (1975) 177.
"""

import jax.numpy as jnp

from physcon._numerics.sparse.analysis import Levels
from physcon._numerics.sparse.factor import Factored, Front, pivots
from physcon._numerics.sparse.gathers import pick, pick_square, product, transpose
from physcon._numerics.sparse.sweeps import from_root
from physcon._typing import Array, Float, Scalar


def log_det(factored: Factored) -> Scalar:
    """log det S over the rows that are kept."""
    unscaled = pivots(factored) / factored.scale**2
    return jnp.sum(jnp.log(jnp.where(factored.kept, unscaled, 1)))


def selected_inverse(factored: Factored) -> Float[Array, " s"]:
    """(d S d)⁻¹ at the stored entries; zero on rows that are not kept.

    With Z = (d S d)⁻¹ and one front's factor: Z_pb = -L⁻ᵀ W Z_bb and
    Z_pp = L⁻ᵀ (1 + W Z_bb Wᵀ) L⁻¹, from the root to the leaves.
    """
    pattern = factored.pattern
    found: list[Array] = []
    parent = jnp.zeros((0, 0, 0), factored.scale.dtype)
    for group in zip(pattern.levels, factored.fronts, strict=True):
        parent, top = from_root(_selected, parent, group)
        found.append(top.reshape(-1))
    entries = pick(jnp.concatenate(found), pattern.position)
    kept = factored.kept.astype(entries.dtype)
    return pick(kept, pattern.row) * entries * pick(kept, pattern.column)


def _selected(parent: Array, one: tuple[Levels, Front]) -> tuple[Array, Array]:
    """The inverse on the unknowns of each front of a depth, and its pivots' rows."""
    level, front = one
    further = pick_square(parent, level.place)
    back = transpose(front.whitener)
    gain = product(back, front.coupling)
    off = -product(gain, further)
    own = product(back, front.whitener) - product(off, transpose(gain))
    top = jnp.concatenate([own, off], axis=2)
    bottom = jnp.concatenate([transpose(off), further], axis=2)
    return jnp.concatenate([top, bottom], axis=1), top
