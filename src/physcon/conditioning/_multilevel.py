"""The choice between a fast Laplacian solve and levels, for balances in the plane."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array, Bool, Float
from physcon.conditioning import _semicoarsening as semicoarsening
from physcon.conditioning._semicoarsening import LEAST, Network
from physcon.linear_map import Difference

Apply = Callable[[Float[Array, "*y"]], Float[Array, "*y"]]
#: The largest over the smallest ratio of weights to separable weights up to which
#: transforms take less time: fewer steps, at twice the cost.
EVEN = 4.0


def suits(parts: tuple[Difference, ...]) -> bool:
    """Whether the parts are the two axes of a plane with sides."""
    axes = tuple(part.axis for part in parts)
    plane = len(parts[0].out_shape) == 2
    return plane and axes == (0, 1) and not any(part.periodic for part in parts)


def or_else(
    transforms: Callable[..., Apply],
    parts: tuple[Difference, ...],
    variances: list[Array],
    noise: Float[Array, "m n"],
) -> Apply:
    """The levels if the weights are uneven, else `transforms` of the same arguments.

    The values decide while the program runs. Both are compiled.
    """
    weights = [p.area**2 * v for p, v in zip(parts, variances, strict=True)]
    even = transforms(parts, variances, noise)
    is_uneven = uneven(parts, weights)
    sizes = [jnp.max(w, initial=0) for w in (*weights, noise)]
    largest = jnp.max(jnp.stack(sizes))
    top = jnp.where(largest > 0, largest, 1)
    network = jax.tree.map(
        lambda w: (w / top).astype(jnp.float32), network_of(parts, weights, noise)
    )
    shapes = jax.eval_shape(semicoarsening.build, network)

    def nothing(_: Network) -> semicoarsening.Levels:
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    levels = jax.lax.cond(is_uneven, semicoarsening.build, nothing, network)
    diagonal = _diagonal(parts, weights, noise)
    # Rows beyond the range of float32, and those without variance, are left alone.
    inverse = safe.divide(jnp.ones_like(diagonal), diagonal)
    alone = jnp.where(diagonal > 0, inverse, 1 / top)
    alone = jnp.where(diagonal > LEAST * top, 0, alone)

    def by_levels(r: Array) -> Array:
        x = semicoarsening.apply(levels, r.astype(jnp.float32))
        return x.astype(r.dtype) / top + alone * r

    return lambda r: jax.lax.cond(is_uneven, by_levels, even, r)


def network_of(
    parts: tuple[Difference, ...], weights: list[Array], noise: Float[Array, "m n"]
) -> Network:
    """The conductances between cells; a known face conducts nothing."""
    along, across = (p.with_both_ends(w) for p, w in zip(parts, weights, strict=True))
    last = noise.shape[1] - 1
    column = jnp.arange(last + 1)[None]
    first_side = jnp.where(column == 0, across[:, :1], 0)
    last_side = jnp.where(column == last, across[:, -1:], 0)
    between = jnp.where(column == last, 0, across[:, 1:])
    return Network(along, between, noise + first_side + last_side)


def uneven(parts: tuple[Difference, ...], weights: list[Array]) -> Bool[Array, ""]:
    """Whether the weights are far from a product of profiles.

    The eigenvalues of the preconditioned matrix lie about between the smallest and the
    largest ratio of the weights to those of the scaled Laplacian.
    """
    line = jnp.mean(weights[0], axis=1, keepdims=True)
    frozen = [
        jnp.broadcast_to(line, weights[0].shape),
        jnp.full_like(weights[1], jnp.mean(weights[1])),
    ]
    none = jnp.zeros_like(weights[0], shape=parts[0].out_shape)
    scale = safe.divide(_diagonal(parts, weights, none), _diagonal(parts, frozen, none))
    ratios = [
        safe.divide(w, level * _at_faces(part, w, scale)).reshape(-1)
        for part, w, level in zip(parts, weights, frozen, strict=True)
    ]
    both = jnp.concatenate(ratios)
    return jnp.max(both) > EVEN * jnp.min(both)


def _diagonal(
    parts: tuple[Difference, ...], weights: list[Array], noise: Float[Array, "m n"]
) -> Float[Array, "m n"]:
    pairs = zip(parts, weights, strict=True)
    return sum((p.both_sides(w) for p, w in pairs), noise)


def _at_faces(part: Difference, w: Array, cells: Float[Array, "m n"]) -> Array:
    """The mean of the cells next to each face."""
    spread = jax.vjp(part.both_sides, w)[1]
    (total,) = spread(cells)
    (count,) = spread(jnp.ones_like(cells))
    return total / count
