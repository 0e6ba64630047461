"""Bounds and conservation: the most probable field in a box that obeys its laws.

Positivity, a maximum principle, a volume fraction between 0 and 1. A bound that holds
with equality is an observation without noise, so the answer is `condition` once more,
restricted to the points that are free to move. `find_active_set` and `interior_point`
find these points, and `optimality` judges the field that is returned.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import (
    is_traced,
    require,
    require_given,
    require_same_field,
)
from physcon._numerics.float64 import in_float64, in_one_dtype
from physcon._status import Outcome, choose, code, settle
from physcon._typing import Array, ArrayLike, Bool, Float, Int
from physcon.conditioning._condition import condition
from physcon.conditioning._grouped import Grouped, search_groups
from physcon.conditioning.active_set import find_active_set
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.interior_point import interior_point
from physcon.conditioning.optimality import (
    Problem,
    Refined,
    contradicts,
    dependent_rows,
    refine,
)
from physcon.linear_map import Diagonal, Disjoint


class Bounded(NamedTuple):
    """Result of `bounded`.

    Attributes:
        mean: the most probable field, ``(*x)``; always inside its bounds.
        posterior: Gaussian over the free points, given the constraint; points on a
            bound have no variance. Its samples may leave the box: draw with
            `sample_bounded` instead.
        active: -1 on the lower bound, 1 on the upper one, 0 free; ``(*x)``.
        multiplier: λ in mean = clip(μ + Σ Gᵀ λ, lower, upper), ``(m)``.
        residual: b - G mean, ``(m)``, summed in float64.
        outcome: `good`, `not_finite`, `disordered` (a lower bound above its upper one),
            `unreachable` (no field within the bounds has the value of some row),
            `contradiction` (the rows can be met one by one, but not together) or
            `not_solved` (the field misses a row, or is not the most probable one).
    """

    mean: Float[Array, "*x"]
    posterior: Gaussian
    active: Int[Array, "*x"]
    multiplier: Float[Array, "*y"]
    residual: Float[Array, "*y"]
    outcome: Outcome

    @property
    def status(self) -> Int[Array, "*batch"]:
        """The outcome as in version 0.1.

        0 good; 1 not finite; 2 lower > upper; 3 out of reach; 4 not converged.
        """
        return code(self.outcome, _CODES)


def bounded(
    prior: Gaussian,
    constraint: LinearConstraint,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    *,
    throw: bool = True,
) -> Bounded:
    """The most probable field under `prior` within bounds that obeys `constraint`.

        minimise Σ (u - μ)² / σ²   subject to   G u = b,   lower <= u <= upper

    Shapes: fields ``(*x)``, m rows; bounds scalar or ``(*x)``, None or infinite where
    open. The prior is diagonal; its points of zero variance stay, or move to the
    nearest bound. A constraint with a `noise_std` is weighed against the prior instead
    of met. The cost is some ten to thirty steps of O(m² n), or of O(n) for rows that
    see disjoint points (`block_means`, `totals`), which have one monotone equation
    each. See `constrained` for sparse rows and for other priors. Acts on one sample;
    batch with `jax.vmap`.

    Where no bound is active the result is that of `condition`. The mean is the exact
    minimiser, computed in float64 and rounded once: bounds hold exactly and |G u - b|
    <= 4 eps (|G| |u| + |b|) in the caller's precision. The outcome tests the returned
    field for this. Derivatives in both modes are those of the conditioning of the free
    points with the active set held fixed: they are exact except where a point is just
    about to touch a bound (a kink).

    Raises:
        ValueError: shapes; a prior that is not diagonal; a value out of reach, with the
            reachable interval, if the arguments have values (outside of jit).
        RuntimeError: bad values at run time, see `Bounded.outcome`. ``throw=False``
            returns the outcome instead and, for a single row out of reach, the field
            nearest to it.

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
    found: Grouped | Refined
    if isinstance(constraint.operator, Disjoint):
        found, outcome = search_groups(prior.mean, std, constraint, low, high)
        row_std, dependent = found.row_std, found.dependent
    else:
        rows = constraint.operator.rows()
        given = _Given(prior.mean, std, rows, constraint.value, noise_std, low, high)
        given = jax.lax.stop_gradient(given)
        if throw and not any(is_traced(x) for x in given):
            _refuse_unreachable(given)
        found, row_std, dependent, outcome = _searched(given)

    held = found.below | found.above
    pinned = jnp.where(found.below, low, jnp.where(found.above, high, prior.mean))
    # A row that the free points can't change, or that other rows imply, is met already.
    # As a noisy row it has no effect, and leaves the Gram matrix regular.
    noise_std = jnp.where(dependent & (noise_std == 0), row_std, noise_std)
    law = LinearConstraint(constraint.operator, constraint.value, noise_std)
    free = Gaussian(pinned, Diagonal(jnp.where(held, 0, std)))
    posterior = condition(free, law, throw=False).posterior
    mean = with_value(posterior.mean, found.field)
    sign = found.above.astype(jnp.int32) - found.below.astype(jnp.int32)
    result = Bounded(
        mean,
        Gaussian(mean, posterior.root),
        sign,
        found.multiplier,
        constraint.residual(mean),
        outcome,
    )
    return settle(result, outcome, throw, MESSAGES)


@jax.custom_jvp
def with_value(x: Array, value: Array) -> Array:
    """`value`, with the derivatives of `x`: the two differ by rounding only."""
    return value


@with_value.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    return with_value(*primals), tangents[0]


def reachable(
    prior: Gaussian,
    constraint: LinearConstraint,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """Smallest and largest value of each row over the fields within the bounds.

    Shapes: two arrays ``(m)``. Points of zero variance don't move.

    >>> from physcon.conditioning.constraint import integral
    >>> prior = Gaussian.diagonal(jnp.zeros(4), jnp.ones(4))
    >>> [float(x[0]) for x in reachable(prior, integral(jnp.ones(4), 1.0), 0.0, 2.0)]
    [0.0, 8.0]
    """
    prior, constraint = in_one_dtype(prior, constraint)
    std = diagonal_std(prior, constraint)
    given = _Given(
        prior.mean,
        std,
        constraint.operator.rows(),
        constraint.value,
        jnp.zeros_like(constraint.value),
        *box(prior, lower, upper),
    )
    return in_float64(partial(_reach_of, dtype=prior.mean.dtype))(given)[:2]


def diagonal_std(prior: Gaussian, constraint: LinearConstraint) -> Float[Array, "*x"]:
    """Standard deviation of a diagonal prior that fits the constraint, or an error."""
    require_given(prior, Gaussian, "prior")
    require_given(constraint, LinearConstraint, "constraint")
    require_same_field(prior.mean.shape, tuple(constraint.operator.in_shape))
    root = prior.root
    if not isinstance(root, Diagonal):
        got = f"a root of type {type(getattr(root, 'map', root)).__name__}"
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


class _Given(NamedTuple):
    """The arguments of `bounded`, in the caller's dtype and units."""

    mean: Float[Array, "*x"]
    std: Float[Array, "*x"]
    rows: Float[Array, "m *x"]
    value: Float[Array, " m"]
    noise_std: Float[Array, " m"]
    lower: Float[Array, "*x"]
    upper: Float[Array, "*x"]

    def problem(self) -> Problem:
        """Squares are taken here, in float64, where no unit over- or underflows."""
        return Problem(
            self.mean,
            self.std**2,
            self.rows,
            self.value,
            self.noise_std**2,
            self.lower,
            self.upper,
        )


def _searched(given: _Given) -> tuple[Refined, Array, Array, Outcome]:
    """The solution, each row's prior std, which rows are dependent, and the outcome."""
    dtype = given.mean.dtype
    found, row_std, dependent, flags = in_float64(partial(_search, dtype=dtype))(given)
    finite, ordered, unreachable, contradiction = flags
    outcome = choose(
        (~finite, Outcome.not_finite),
        (~ordered, Outcome.disordered),
        (unreachable, Outcome.unreachable),
        (contradiction, Outcome.contradiction),
        (~(found.error <= 1), Outcome.not_solved),
    )
    return found, row_std, dependent, outcome


@partial(jax.jit, static_argnames="dtype")  # compiled once where called without jit
def _search(given: _Given, dtype: Any) -> tuple[Refined, Array, Array, tuple]:
    problem = given.problem()
    lowest, highest, outside = _reach(problem, dtype)
    nearest = jnp.clip(problem.value, lowest, highest)
    exact = problem.noise_variance == 0
    problem = problem._replace(value=jnp.where(exact, nearest, problem.value))
    tolerance = 4 * float(jnp.finfo(dtype).eps)
    found = refine(problem, find_active_set(problem, tolerance), dtype)
    if problem.value.size > 1:
        other = refine(problem, interior_point(problem, found.error > 1), dtype)
        better = (found.error > 1) & (other.error < found.error)
        found = jax.tree.map(lambda a, b: jnp.where(better, a, b), other, found)
    missing = problem.value - problem.rows.reshape(exact.size, -1) @ found.field.ravel()
    contradiction = (found.error > 1) & (
        contradicts(problem, missing) | contradicts(problem, found.multiplier)
    )
    finite = jnp.stack([jnp.all(jnp.isfinite(x)) for x in given[:5]])
    no_bound = jnp.any(~(given.lower < jnp.inf) | ~(given.upper > -jnp.inf))
    flags = (
        jnp.all(finite) & ~no_bound,
        ~jnp.any(given.lower > given.upper),
        jnp.any(outside),
        contradiction,
    )
    row_std, dependent = dependent_rows(problem, found)
    return found, row_std, dependent, flags


@partial(jax.jit, static_argnames="dtype")
def _reach_of(
    given: _Given, dtype: Any
) -> tuple[Float[Array, " m"], Float[Array, " m"], Bool[Array, " m"]]:
    return _reach(given.problem(), dtype)


def _reach(
    problem: Problem, dtype: Any
) -> tuple[Float[Array, " m"], Float[Array, " m"], Bool[Array, " m"]]:
    """Smallest and largest row values, and whether b lies outside of them.

    Bounds and values are often sums in the caller's precision: what they miss by its
    rounding is not outside.
    """
    space = tuple(range(1, problem.rows.ndim))
    moving = problem.variance > 0
    resting = jnp.clip(problem.mean, problem.lower, problem.upper)

    def products(end: Array) -> Array:
        ends = jnp.where(moving, end, resting)[None]
        return jnp.where(problem.rows == 0, 0, problem.rows * ends)

    low = products(problem.lower)
    high = products(problem.upper)
    least = jnp.minimum(low, high)
    most = jnp.maximum(low, high)
    lowest = jnp.sum(least, axis=space)
    highest = jnp.sum(most, axis=space)
    b = problem.value
    eps = 3 * float(jnp.finfo(dtype).eps)
    slack_below = eps * (jnp.sum(jnp.abs(least), axis=space) + jnp.abs(b))
    slack_above = eps * (jnp.sum(jnp.abs(most), axis=space) + jnp.abs(b))
    exact = problem.noise_variance == 0
    outside = (b < lowest - slack_below) | (b > highest + slack_above)
    return lowest, highest, exact & outside


def _refuse_unreachable(given: _Given) -> None:
    reach = in_float64(partial(_reach_of, dtype=given.mean.dtype))(given)
    lowest, highest, unreachable = map(np.asarray, reach)
    for row in np.flatnonzero(unreachable):
        raise ValueError(
            "expected a value within the bounds' reach "
            f"[{lowest[row]:.6g}, {highest[row]:.6g}] for row {row}, got "
            f"{given.value[row]:.6g}; widen the bounds, or give the constraint a "
            "noise_std"
        )


_CODES = {
    "good": 0,
    "not_finite": 1,
    "disordered": 2,
    "unreachable": 3,
    "contradiction": 4,
    "not_solved": 4,
}
#: Sentences of `bounded` and of `sample_bounded`.
MESSAGES = {
    "few_moves": (
        "sample_bounded: expected every free point to move several times, got too few "
        "moves for the draws to be trusted; raise sweeps, or drop rows"
    ),
    "not_finite": (
        "bounded: expected a finite mean, standard deviation, operator and value, and "
        "bounds that are numbers, got NaN or infinity; pass None, -inf (lower) or inf "
        "(upper) for an open bound"
    ),
    "disordered": (
        "bounded: expected lower <= upper everywhere, got a point with lower > upper; "
        "swap the bounds"
    ),
    "unreachable": (
        "bounded: expected a value that some field within the bounds has, got one out "
        "of reach; call `reachable` for the interval of each row"
    ),
    "contradiction": (
        "bounded: expected rows that can be met together within the bounds, got rows "
        "that contradict each other there; drop one of them, widen the bounds, or give "
        "the constraint a noise_std"
    ),
    "not_solved": (
        "bounded: expected rows that can be met together within the bounds, got no "
        "convergence; drop contradicting rows, or give the constraint a noise_std"
    ),
}
