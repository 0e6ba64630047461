"""Bounds and conservation at once: the most probable field inside a box that obeys its
laws.

Positivity, a maximum principle, a volume fraction between 0 and 1. A bound that holds
with equality is an observation without noise, so the answer is `condition` once more,
restricted to the points that are free to move; `find_active_set` says which ones.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import (
    error_if,
    is_traced,
    require,
    require_given,
    require_same_field,
)
from physcon._numerics.float64 import in_float64, in_one_dtype
from physcon._typing import Array, ArrayLike, Bool, Float, Int
from physcon.conditioning._condition import condition
from physcon.conditioning.active_set import ActiveSet, Problem, find_active_set
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.linear_map import Diagonal


class Bounded(NamedTuple):
    """Result of `bounded`.

    Attributes:
        mean: the most probable field, ``(*x)``; inside its bounds exactly.
        posterior: Gaussian over the free points, given the constraint; points on a bound have no
            variance. Its samples may leave the box: those of `sample_bounded` don't.
        active: -1 on the lower bound, 1 on the upper one, 0 free; ``(*x)``.
        multiplier: λ in mean = clip(μ + Σ Gᵀ λ, lower, upper), ``(m)``.
        residual: b - G mean, ``(m)``, summed in float64.
        status: 0 good; 1 a NaN came in, or an infinity that is not an open bound; 2 a lower bound
            above its upper one; 3 no field within the bounds has the value of some row; 4 not
            converged: rows that can be met one by one, but not together.
    """

    mean: Float[Array, "*x"]
    posterior: Gaussian
    active: Int[Array, "*x"]
    multiplier: Float[Array, " m"]
    residual: Float[Array, " m"]
    status: Int[Array, ""]


def bounded(
    prior: Gaussian,
    constraint: LinearConstraint,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    *,
    throw: bool = True,
) -> Bounded:
    """The most probable field under `prior` that obeys `constraint` and lower <= u <=
    upper.

        minimise Σ (u - μ)² / σ²   subject to   G u = b,   lower <= u <= upper

    Shapes: fields ``(*x)``, m rows; bounds scalar or ``(*x)``, None or infinite where
    open. The prior is diagonal; its points of zero variance stay, or move to the
    nearest bound. A constraint with a `noise_std` is weighed against the prior instead
    of met. Cost O(m n) a step, some ten steps. One sample; batch with `jax.vmap`.

    Where no bound is active this is `condition`. The mean is the exact minimiser,
    computed in float64 and rounded once: bounds hold exactly and |G u - b| <= 4 eps
    (|G| |u| + |b|). Derivatives in both modes are those of the conditioning that is
    left with the active set held fixed: exact except where a point is just about to
    touch a bound (a kink).

    Raises:
        ValueError: shapes, a prior that is not diagonal; where the arguments have values already
            (outside of jit), a value out of reach, before any work, with the reachable interval.
        RuntimeError: bad values at run time, see `Bounded.status`. ``throw=False`` returns the
            status instead, and for a single row out of reach the nearest field.

    Source: Cominetti, Mascarenhas and Silva (2014), eq. 1, for one row.

    >>> from physcon.conditioning.constraint import integral
    >>> prior = Gaussian.diagonal(jnp.array([-1.0, 1.0, 3.0]), jnp.ones(3))
    >>> bounded(prior, integral(jnp.ones(3), 2.5), lower=0.0).mean.tolist()
    [0.0, 0.25, 2.25]
    """
    prior, constraint = in_one_dtype(prior, constraint)
    std = diagonal_std(prior, constraint)
    low, high = box(prior, lower, upper)
    noise_std = constraint.noise()
    rows = constraint.operator.rows()
    problem = Problem(
        prior.mean, std**2, rows, constraint.value, noise_std**2, low, high
    )
    problem = jax.tree.map(jax.lax.stop_gradient, problem)
    if throw and not any(is_traced(x) for x in problem):
        _refuse_unreachable(problem)
    active, status = in_float64(_search)(problem)

    pinned = jnp.where(active.below, low, jnp.where(active.above, high, prior.mean))
    free_std = jnp.where(active.below | active.above, 0, std)
    # A row that the free points can't change, or that other rows imply, is met already.
    # As a noisy one it has no effect, and leaves the Gram matrix regular.
    noise_std = jnp.where(active.dependent & (noise_std == 0), 1, noise_std)
    law = LinearConstraint(constraint.operator, constraint.value, noise_std)
    posterior = condition(
        Gaussian(pinned, Diagonal(free_std)), law, throw=False
    ).posterior
    inside = jnp.clip(
        posterior.mean, low, high
    )  # moves by rounding only: not differentiated
    mean = posterior.mean + jax.lax.stop_gradient(inside - posterior.mean)
    for code, message in _MESSAGES.items():
        mean = error_if(mean, status == code, message, throw)
    sign = active.above.astype(jnp.int32) - active.below.astype(jnp.int32)
    result = Gaussian(mean, posterior.root)
    residual = constraint.residual(mean)
    return Bounded(mean, result, sign, active.multiplier, residual, status)


def reachable(
    prior: Gaussian,
    constraint: LinearConstraint,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """Smallest and largest value of each row over the fields within the bounds, ``(m)``
    each.

    Points of zero variance don't move.

    >>> from physcon.conditioning.constraint import integral
    >>> prior = Gaussian.diagonal(jnp.zeros(4), jnp.ones(4))
    >>> [float(x[0]) for x in reachable(prior, integral(jnp.ones(4), 1.0), 0.0, 2.0)]
    [0.0, 8.0]
    """
    prior, constraint = in_one_dtype(prior, constraint)
    std = diagonal_std(prior, constraint)
    value, noise = constraint.value, jnp.zeros_like(constraint.value)
    rows = constraint.operator.rows()
    problem = Problem(prior.mean, std**2, rows, value, noise, *box(prior, lower, upper))
    return in_float64(_reach)(problem)[:2]


def diagonal_std(prior: Gaussian, constraint: LinearConstraint) -> Float[Array, "*x"]:
    """Standard deviation of a diagonal prior that fits the constraint, or an error."""
    require_given(prior, Gaussian, "prior")
    require_given(constraint, LinearConstraint, "constraint")
    require_same_field(prior.mean.shape, tuple(constraint.operator.in_shape))
    root = prior.root
    if not isinstance(root, Diagonal):
        got = f"a root of type {type(root).__name__}"
        remedy = "pass Gaussian.diagonal(prior.mean, prior.std())"
        raise ValueError(f"expected a diagonal prior, got {got}; {remedy}")
    return jnp.abs(root.diagonal)


def box(
    prior: Gaussian, lower: ArrayLike | None, upper: ArrayLike | None
) -> tuple[Float[Array, "*x"], Float[Array, "*x"]]:
    """Bounds as arrays of the field's shape and dtype; None is open."""

    def bound(x: ArrayLike | None, open_end: float, name: str) -> Array:
        x = open_end if x is None else x
        shape, got = prior.mean.shape, np.shape(x)
        remedy = "functions act on one sample: batch with jax.vmap"
        require(got in ((), shape), f"{name} a scalar or of shape {shape}", got, remedy)
        return jnp.broadcast_to(jnp.asarray(x, prior.mean.dtype), shape)

    return bound(lower, -jnp.inf, "lower"), bound(upper, jnp.inf, "upper")


@jax.jit  # one compilation where `bounded` is called without jit
def _search(problem: Problem) -> tuple[ActiveSet, Int[Array, ""]]:
    lowest, highest, unreachable = _reach(problem)
    nearest = jnp.clip(problem.value, lowest, highest)
    value = jnp.where(problem.noise_variance > 0, problem.value, nearest)
    active = find_active_set(problem._replace(value=value))
    finite = jnp.stack([jnp.all(jnp.isfinite(x)) for x in problem[:5]])
    no_bound = jnp.any(~(problem.lower < jnp.inf) | ~(problem.upper > -jnp.inf))
    status = jnp.where(active.converged, 0, 4)
    status = jnp.where(jnp.any(unreachable), 3, status)
    status = jnp.where(jnp.any(problem.lower > problem.upper), 2, status)
    status = jnp.where(~jnp.all(finite) | no_bound, 1, status)
    return active, status.astype(jnp.int32)


@jax.jit
def _reach(
    problem: Problem,
) -> tuple[Float[Array, " m"], Float[Array, " m"], Bool[Array, " m"]]:
    """Smallest and largest row values, and whether b lies outside by more than
    rounding.
    """
    rows, space = problem.rows, tuple(range(1, problem.rows.ndim))
    moving = problem.variance > 0
    resting = jnp.clip(problem.mean, problem.lower, problem.upper)
    low = jnp.where(
        rows == 0, 0, rows * jnp.where(moving, problem.lower, resting)[None]
    )
    high = jnp.where(
        rows == 0, 0, rows * jnp.where(moving, problem.upper, resting)[None]
    )
    lowest = jnp.sum(jnp.minimum(low, high), axis=space)
    highest = jnp.sum(jnp.maximum(low, high), axis=space)
    b, eps = problem.value, _FLOAT32_EPS
    least = lowest - eps * (
        jnp.sum(jnp.abs(jnp.minimum(low, high)), axis=space) + jnp.abs(b)
    )
    most = highest + eps * (
        jnp.sum(jnp.abs(jnp.maximum(low, high)), axis=space) + jnp.abs(b)
    )
    exact = problem.noise_variance == 0
    return lowest, highest, exact & ((b < least) | (b > most))


def _refuse_unreachable(problem: Problem) -> None:
    lowest, highest, unreachable = map(np.asarray, in_float64(_reach)(problem))
    for row in np.flatnonzero(unreachable):
        raise ValueError(
            f"expected a value within the bounds' reach [{lowest[row]:.6g}, {highest[row]:.6g}] "
            f"for row {row}, got {problem.value[row]:.6g}; widen the bounds, or give the "
            "constraint a noise_std"
        )


#: Bounds and values are often sums in single precision: that much of a miss is
#: rounding.
_FLOAT32_EPS = 4 * float(np.finfo(np.float32).eps)
_MESSAGES = {
    1: (
        "bounded: expected a finite mean, standard deviation, operator and value, and bounds that "
        "are numbers, got NaN or infinity; an open bound is None, -inf (lower) or inf (upper)"
    ),
    2: "bounded: expected lower <= upper everywhere, got a point with lower > upper; swap them",
    3: (
        "bounded: expected a value that some field within the bounds has, got one out of reach; "
        "`reachable` gives the interval of each row"
    ),
    4: (
        "bounded: expected rows that can be met together within the bounds, got no convergence; "
        "drop contradicting rows, or give the constraint a noise_std"
    ),
}
