"""Forward and backward substitution with a multifrontal factor."""

import jax.numpy as jnp

from physcon._numerics.sparse.analysis import Levels
from physcon._numerics.sparse.factor import Factored, Front
from physcon._numerics.sparse.gathers import pick, pick_each, product_with, transpose
from physcon._numerics.sparse.sweeps import from_leaves, from_root
from physcon._typing import Array, Float


def solve(factored: Factored, right: Float[Array, " m"]) -> Float[Array, " m"]:
    """S⁻¹ `right` on the rows that are kept; zero on the others."""
    scale = jnp.where(factored.kept, factored.scale, 0)
    return scale * solve_scaled(factored, scale * right)


def solve_scaled(factored: Factored, right: Float[Array, " m"]) -> Float[Array, " m"]:
    """(d S d)⁻¹ `right`; entries of `right` for rows that are not kept must be zero."""
    pattern = factored.pattern
    stored = jnp.append(right, 0)
    whites: list[Array] = []
    carried = jnp.zeros((0, 0), right.dtype)
    groups = list(zip(pattern.levels, factored.fronts, strict=True))
    for group in groups[::-1]:

        def down(children: Array, one: tuple[Levels, Front]) -> tuple[Array, Array]:
            level, front = one
            k, p = level.pivots.shape
            f = level.take.shape[1]
            whole = jnp.pad(pick(stored, level.pivots), ((0, 0), (0, f - p)))
            if children.shape[1]:
                taken = pick_each(children, level.take)
                whole = whole + taken.reshape(k, 2, f).sum(axis=1)
            white = product_with(front.whitener, whole[:, :p])
            below = product_with(transpose(front.coupling), white)
            return whole[:, p:] - below, white

        carried, white = from_leaves(down, carried, group)
        whites.append(white)
    found: list[Array] = []
    parent = jnp.zeros((0, 0), right.dtype)
    for group, white in zip(groups, whites[::-1], strict=True):

        def up(parent: Array, one: tuple) -> tuple[Array, Array]:
            (level, front), white = one
            further = pick_each(parent, level.place)
            own = white - product_with(front.coupling, further)
            own = product_with(transpose(front.whitener), own)
            return jnp.concatenate([own, further], axis=1), own

        parent, own = from_root(up, parent, (group, white))
        found.append(own.reshape(-1))
    return pick(jnp.concatenate(found), pattern.unknown)
