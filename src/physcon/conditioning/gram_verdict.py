"""How well a few rows are met, told by their Gram matrix where that is certain.

The residual of the posterior mean takes one more pass over the field. The small system
bounds it: for independent errors, Σ diagonal, the mean moves by δ = Σ Gᵀ λ, and by the
inequality of Cauchy and Schwarz

    |G_i| |δ| <= √S_ii Σ_j √S_jj |λ_j|

so the rounding errors of G δ are bounded, and |G| |μ'| is bounded from below. The field
is read again only where these bounds don't decide.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics.float64 import cast
from physcon._numerics.products import combine
from physcon._numerics.rarely import rarely
from physcon._typing import Array, Bool, Float, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.linear_map import LinearMap, Root

EPS = float(jnp.finfo(jnp.float32).eps)
#: Roundings of float32 up to which a bound decides that a row is met.
SURE = 4
#: Largest move of a point that cannot overflow float32, and the smallest
#: |G| |μ'| + |b| next to the rounding of subnormal numbers.
LARGEST = 1e30
SMALLEST = 1e-31
#: How many standard deviations the terms of a point's move count at most. Nearly
#: parallel rows have multipliers, and thereby terms, of any size.
FARTHEST = 1e4


def whiten(operator: LinearMap, root: Root) -> Float[Array, "m *z"]:
    """W = G R as rows over the latent space."""
    return jax.vmap(root.rmv)(operator.rows())


def in_roundings(
    unmet: Float[Array, "*y"], size: Float[Array, "*y"], eps: float
) -> Float[Array, "*y"]:
    """`unmet` in units of eps `size`; infinite where it is not finite."""
    unmet = jnp.where(jnp.isfinite(unmet), unmet, jnp.inf)
    return jnp.where(unmet > 0, unmet / jnp.where(size > 0, eps * size, 1), 0)


class System(NamedTuple):
    """The small system of a few rows, solved."""

    gram: Float[Array, "m m"]  # S = W Wᵀ + N
    missing: Float[Array, " m"]  # b - G μ
    multiplier: Float[Array, " m"]
    size: Float[Array, " m"]  # |G| |μ|
    square: Scalar  # Σ σ²
    points: int  # of the field

    def std(self) -> Float[Array, " m"]:
        """√S_ii, the standard deviation of each row."""
        return jnp.sqrt(jnp.diagonal(self.gram))

    def reach(self) -> Scalar:
        """A bound of |Σ_j W_jk λ_j| of any point k."""
        return jnp.sum(self.std() * jnp.abs(self.multiplier))


class Checked(NamedTuple):
    """What the rows of a mean miss, and, of several rows, the refined mean."""

    #: |b - G μ' - N λ|, see `in_roundings`: an upper bound where it decides that all
    #: rows are met, else measured.
    roundings: Float[Array, " m"]
    multiplier: Float[Array, " m"]
    #: Rounded to float32; None for a single row, which has nothing to refine.
    mean: Float[Array, "*x"] | None


def checked_rows(
    prior: Gaussian,
    law: LinearConstraint,
    system: System,
    moved: Float[Array, "*x"],
    factor: Any,
) -> Checked:
    """How well the rows are met, after one refinement where that isn't certain.

    Nearly parallel rows have large multipliers, whose terms cancel in Wᵀ λ and leave
    their rounding errors.

    Args:
        moved: the mean by the multipliers.
        factor: of S, to solve for what the rows of this mean miss.
    """
    sure, bound = _bounds(law, system, EPS)
    # As float32, so that no converted copies are made for the branch not taken.
    narrow = cast((prior, law), jnp.float32)
    mean = None if system.multiplier.size == 1 else cast(moved, jnp.float32)
    found = Checked(bound, system.multiplier, mean)

    def usual(*_: Any) -> Checked:
        return found

    chosen = rarely(~sure, _refined, usual, *narrow, system, factor)
    return chosen._replace(mean=cast(chosen.mean, moved.dtype))


def _refined(
    prior: Gaussian, law: LinearConstraint, system: System, factor: Any
) -> Checked:
    """The mean from its multipliers, refined and measured: three passes."""
    prior, law = cast((prior, law), jnp.float64)
    root, operator = prior.root, law.operator
    w = whiten(operator, root)
    sigma, value = law.noise().reshape(-1), law.value.reshape(-1)

    def missed(mean: Array, multiplier: Array) -> tuple[Array, Array]:
        seen, size = (x.reshape(-1) for x in operator.measured(mean))
        unmet = value - seen - sigma * (sigma * multiplier)
        return unmet, size + jnp.abs(value)

    multiplier = system.multiplier
    mean = prior.mean + root.mv(combine(multiplier, w))
    several = multiplier.size > 1
    if several:
        more = factor.solve(missed(mean, multiplier)[0])
        multiplier = multiplier + more
        mean = mean + root.mv(combine(more, w))
    rounded = cast(mean, jnp.float32)
    unmet, size = missed(cast(rounded, jnp.float64), multiplier)
    # The mean was computed in float64, with the rounding errors of its terms.
    moved = system.std() * jnp.minimum(system.reach(), FARTHEST)
    terms = (moved + system.size) * float(jnp.finfo(jnp.float64).eps) / EPS
    found = in_roundings(jnp.abs(unmet), size + terms, EPS)
    return Checked(found, multiplier, rounded if several else None)


def _bounds(
    law: LinearConstraint, system: System, eps: float
) -> tuple[Bool[Array, ""], Float[Array, " m"]]:
    """Whether the bounds decide, and how many roundings each row misses at most."""
    multiplier, b = system.multiplier, law.value.reshape(-1)
    reach = system.reach()
    move = system.std() * reach
    left = system.missing - system.gram @ multiplier
    terms = system.points + multiplier.size + 16
    slack = (
        terms * float(jnp.finfo(jnp.float64).eps) * (move + system.size + jnp.abs(b))
    )
    unmet = jnp.abs(left) + slack
    sigma = law.noise().reshape(-1)
    seen = jnp.abs(b - sigma * (sigma * multiplier)) - unmet
    size = jnp.maximum(seen, system.size - move) + jnp.abs(b)
    met = (unmet <= SURE * eps * size) & (size > SMALLEST)
    sure = jnp.all(met) & (jnp.sqrt(system.square) * reach < LARGEST)
    return sure, in_roundings(unmet, size, eps) + 0.5
