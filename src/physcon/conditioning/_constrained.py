"""Equalities, inequalities and boxes together, for any number of sparse rows."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, require, require_given, require_same_field
from physcon._numerics.float64 import in_float64, in_one_dtype
from physcon._status import Outcome, choose, settle
from physcon._typing import Array, ArrayLike, Bool, Float, Int
from physcon.conditioning._condition import condition
from physcon.conditioning._interior import Boxed, Interior, interior_point
from physcon.conditioning._metric import held_prior, metric_of
from physcon.conditioning.builders import from_matrix
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.rows import stack
from physcon.conditioning.solvers import Auto, Solver
from physcon.linear_map import Disjoint, LinearMap, Pointwise, Rows, Sparse, Stack


class Constrained(NamedTuple):
    """Result of `constrained`.

    Attributes:
        mean: the most probable field, ``(*x)``; inside its bounds exactly.
        posterior: Gaussian over what is left free: points on a bound have no variance,
            and active rows are exact. Its samples may leave the box.
        active: -1 on the lower bound, 1 on the upper one, 0 free; ``(*x)``.
        row_active: the same for the inequality rows, ``(k)``.
        multiplier: of the equality rows, then of the inequality rows, in one array. If
            no field meets them all: the combination of the rows that proves it.
        residual: b - G mean, one per equality row, summed in float64.
        outcome: `good`; `contradiction`: no field meets all rows within the bounds, and
            `multiplier` proves it; `disordered`: a lower bound above its upper one;
            `not_solved`; `not_finite`.
        steps: of the interior point.
    """

    mean: Float[Array, "*x"]
    posterior: Gaussian
    active: Int[Array, "*x"]
    row_active: Int[Array, "*k"]
    multiplier: Float[Array, " m"]
    residual: Float[Array, "*y"] | None
    outcome: Outcome
    steps: Int[Array, ""]


def constrained(
    prior: Gaussian,
    constraint: LinearConstraint | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    *,
    rows: Any = None,
    row_lower: ArrayLike | None = None,
    row_upper: ArrayLike | None = None,
    throw: bool = True,
) -> Constrained:
    """The most probable field that obeys equalities, inequalities and bounds.

        minimise (u - μ)ᵀ Σ⁻¹ (u - μ)
        subject to  G u = b,  lower <= u <= upper,  row_lower <= C u <= row_upper

    The prior has independent errors, or is an ensemble with independent errors on top
    (`Gaussian.from_samples` with a positive `std`). Sparse, disjoint and pointwise rows
    are used as such: each of some 10 to 30 steps costs one factorisation by the solver
    that `condition` would choose. Acts on one sample; batch with `jax.vmap`.

    Derivatives are those of the conditioning that is left with the active set held
    fixed: exact except where a bound is just about to be touched.

    Args:
        constraint: G u = b, or with a `noise_std` weighed against the prior; or None.
        lower, upper: scalar or ``(*x)``; None or infinite where open.
        rows: C: a `LinearMap`, or a matrix as for `from_matrix`.
        row_lower, row_upper: scalar or one per row of C; None or infinite where open.
        throw: False returns the outcome instead of raising.

    Raises:
        ValueError: shapes, or a prior of another kind, while tracing.
        RuntimeError: at run time under ``throw=True``, for a failure that
            `Constrained.outcome` lists.

    >>> prior = Gaussian.diagonal(jnp.array([3.0, 0.0, 1.0]), jnp.ones(3))
    >>> found = constrained(prior, lower=0.0, rows=np.ones((1, 3)), row_upper=2.0)
    >>> [round(float(u), 4) for u in found.mean]
    [2.0, 0.0, 0.0]
    """
    require_given(prior, Gaussian, "prior")
    law, equalities = _joined(prior, constraint, rows)
    prior, law = in_one_dtype(prior, law)
    low = _full(lower, -jnp.inf, prior.mean.shape, prior.mean.dtype, "lower")
    high = _full(upper, jnp.inf, prior.mean.shape, prior.mean.dtype, "upper")
    count = law.value.size - equalities
    shape, dtype = (count,), prior.mean.dtype
    row_low = _full(row_lower, -jnp.inf, shape, dtype, "row_lower")
    row_high = _full(row_upper, jnp.inf, shape, dtype, "row_upper")
    metric_of(prior)

    value = law.value.reshape(-1)[:equalities]
    ends = [jnp.concatenate([value, end]) for end in (row_low, row_high)]
    ends = [end.reshape(law.value.shape) for end in ends]
    open_rows = jnp.isinf(ends[0]) & jnp.isinf(ends[1])
    operator = masked(law.operator, ~open_rows)
    noise = law.noise()
    solver = Auto().choose(prior, law)
    given = jax.lax.stop_gradient(
        (prior, operator, noise, low, high, *_closed(ends, open_rows))
    )
    found = in_float64(partial(_search, solver=solver))(given)
    held = found.below | found.above
    pinned = jnp.where(found.below, low, jnp.where(found.above, high, prior.mean))
    is_equality = (jnp.arange(law.value.size) < equalities).reshape(law.value.shape)
    used = is_equality | found.row_below | found.row_above
    target = jnp.where(found.row_above, ends[1], ends[0])
    target = jnp.where(used & ~open_rows, target, 0)
    left = LinearConstraint(masked(operator, used), target, law.noise_std)
    free = held_prior(prior, held, pinned)
    result = condition(free, left, solver=solver, throw=False)
    frozen = jax.lax.stop_gradient(result.posterior.mean)
    field, multiplier, flags = _judged(given, found, frozen)
    multiplier = multiplier.reshape(-1)
    finite, ordered, infeasible, solved = flags
    outcome = choose(
        (~finite, Outcome.not_finite),
        (~ordered, Outcome.disordered),
        (infeasible, Outcome.contradiction),
        (~solved, Outcome.not_solved),
    )
    mean = result.posterior.mean + jax.lax.stop_gradient(field - frozen)
    mean = jnp.where(held, pinned, mean)
    # After a failure every derivative is NaN, where all points are held as well.
    mean = mean + 0 * (jnp.sum(prior.mean) + jnp.sum(law.value))
    both = found.row_above.astype(jnp.int32) - found.row_below.astype(jnp.int32)
    residual = None
    if constraint is not None:
        residual = constraint.residual(mean)
    whole = Constrained(
        mean=mean,
        posterior=Gaussian(mean, result.posterior.root),
        active=found.above.astype(jnp.int32) - found.below.astype(jnp.int32),
        row_active=both.reshape(-1)[equalities:],
        multiplier=multiplier,
        residual=residual,
        outcome=outcome,
        steps=found.steps,
    )
    return settle(whole, outcome, throw, _messages(multiplier, equalities))


def _joined(
    prior: Gaussian, constraint: LinearConstraint | None, rows: Any
) -> tuple[LinearConstraint, int]:
    """Equality and inequality rows as one law, and the number of the former."""
    laws: list[LinearConstraint] = []
    if constraint is not None:
        require_given(constraint, LinearConstraint, "constraint")
        laws.append(constraint)
    equalities = sum(law.value.size for law in laws)
    if rows is not None:
        if not isinstance(rows, LinearMap):
            rows = from_matrix(rows, 0.0, shape=prior.mean.shape).operator
        dtype = prior.mean.dtype
        laws.append(LinearConstraint(rows, jnp.zeros(rows.out_shape, dtype)))
    require(
        len(laws) > 0,
        "a constraint, rows, or both",
        "neither",
        "pass bounds alone to `bounded`, or clip the mean",
    )
    for law in laws:
        require_same_field(prior.mean.shape, tuple(law.operator.in_shape))
    return (laws[0] if len(laws) == 1 else stack(*laws)), equalities


def _full(
    x: ArrayLike | None, open_end: float, shape: tuple, dtype: Any, name: str
) -> Array:
    x = open_end if x is None else x
    got = np.shape(x)
    remedy = "functions act on one sample: batch with jax.vmap"
    require(got in ((), shape), f"{name} a scalar or of shape {shape}", got, remedy)
    return jnp.broadcast_to(jnp.asarray(x, dtype), shape)


def _closed(ends: list[Array], open_rows: Array) -> tuple[Array, Array]:
    """The ends of the rows; both are zero for a row that is open at both."""
    low, high = (jnp.where(open_rows, 0, end) for end in ends)
    return low, high


def masked(operator: LinearMap, kept: Bool[Array, "*y"]) -> LinearMap:
    """The operator with the other rows set to zero."""
    if isinstance(operator, Stack):
        pieces = operator.layout.split(kept)
        pairs = zip(operator.parts, pieces, strict=True)
        parts = tuple(masked(part, piece) for part, piece in pairs)
        return Stack(parts, operator.layout)
    if isinstance(operator, Sparse):
        keep = kept.at[operator.row].get(mode="promise_in_bounds")
        entries = jnp.where(keep, operator.entries, 0)
        return Sparse(
            entries,
            operator.row,
            operator.column,
            operator.shape,
            operator.count,
            operator.gram,
        )
    if isinstance(operator, Disjoint):
        keep = operator.groups.spread(kept.astype(operator.weights.dtype))
        return Disjoint(operator.weights * keep, operator.groups)
    if isinstance(operator, Pointwise):
        r, c, *_ = operator.matrix.shape
        per_point = operator.matrix.reshape(r, c, *operator.matrix.shape[2:])
        if operator.matrix.ndim == 2:
            per_point = operator.matrix.reshape(r, c, *(1,) * len(operator.space))
        whole = jnp.broadcast_to(per_point, (r, c, *operator.space))
        return Pointwise(jnp.where(kept[:, None], whole, 0), operator.space)
    rows = operator.rows()
    keep = kept.reshape((-1,) + (1,) * (rows.ndim - 1))
    return Rows(jnp.where(keep, rows, 0))


_Given = tuple[Gaussian, LinearMap, Array, Array, Array, Array, Array]


def _problem(given: _Given) -> Boxed:
    prior, operator, noise, lower, upper, row_lower, row_upper = given
    return Boxed(
        prior.mean,
        metric_of(prior),
        operator,
        noise**2,
        lower,
        upper,
        row_lower,
        row_upper,
    )


@partial(jax.jit, static_argnames="solver")
def _search(given: _Given, solver: Solver) -> Interior:
    return interior_point(_problem(given), solver)


def _judged(
    given: _Given, found: Interior, field: Float[Array, "*x"]
) -> tuple[Float[Array, "*x"], Float[Array, "*y"], tuple]:
    return in_float64(partial(_verdict, dtype=field.dtype))(given, found, field)


@partial(jax.jit, static_argnames="dtype")
def _verdict(
    given: _Given, found: Interior, field: Array, dtype: Any
) -> tuple[Array, Array, tuple]:
    """The better of the two fields, the multipliers or the proof that no field obeys
    everything, and which of the two it is.
    """
    problem = _problem(given)
    eps = float(jnp.finfo(dtype).eps)
    promise = 16 if dtype == jnp.float32 else 16 + field.size**0.5

    def error(u: Array) -> Array:
        """The largest violation, in units of what is promised."""
        inside = jnp.clip(u, problem.lower, problem.upper)
        sizes = jnp.abs(u) + jnp.abs(inside)
        out = jnp.abs(u - inside) / (16 * eps * sizes + _LEAST)
        rounded = inside.astype(dtype).astype(u.dtype)
        s = problem.operator.mv(rounded) + problem.noise * found.multiplier
        nearest = jnp.clip(s, problem.row_lower, problem.row_upper)
        terms = problem.operator.magnitude(rounded) + jnp.abs(nearest)
        terms = terms + problem.noise * jnp.abs(found.multiplier)
        missed = jnp.abs(s - nearest) / (promise * eps * terms + _LEAST)
        worst = jnp.maximum(jnp.max(out), jnp.max(missed))
        return jnp.where(jnp.isfinite(worst), worst, jnp.inf)

    iterate = jnp.clip(found.field, problem.lower, problem.upper)
    error_field, error_iterate = error(field), error(iterate)
    use_field = (error_field <= 1) | (error_field <= error_iterate)
    chosen = jnp.where(use_field, field, iterate)
    chosen = jnp.clip(chosen, problem.lower, problem.upper)
    solved = jnp.minimum(error_field, error_iterate) <= 1
    arrays = [x for x in jax.tree.leaves(given[:3])]
    inexact = [x for x in arrays if jnp.issubdtype(x.dtype, jnp.inexact)]
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in inexact]))
    finite &= ~jnp.any(jnp.isnan(problem.lower) | jnp.isnan(problem.upper))
    finite &= ~jnp.any(jnp.isnan(problem.row_lower) | jnp.isnan(problem.row_upper))
    ordered = ~jnp.any(problem.lower > problem.upper)
    ordered &= ~jnp.any(problem.row_lower > problem.row_upper)
    s = problem.operator.mv(iterate)
    missing = jnp.clip(s, problem.row_lower, problem.row_upper) - s
    by_multiplier = _contradicts(problem, found.multiplier)
    proved = by_multiplier | _contradicts(problem, missing)
    proof = jnp.where(by_multiplier | ~proved, found.multiplier, missing)
    return chosen, proof, (finite, ordered, ~solved & proved, solved)


def _contradicts(problem: Boxed, direction: Array) -> Bool[Array, ""]:
    """Whether a combination of the rows proves that no field in the box meets them all.

    If vᵀ s exceeds vᵀ A u for all u in the box and all s between the ends of the rows,
    nothing meets them (Farkas' lemma).
    """
    v = jnp.where(problem.noise > 0, 0, direction)
    weight = problem.operator.rmv(v)
    fixed = (problem.metric.std == 0) & (problem.metric.vectors is None)
    rest = jnp.clip(problem.mean, problem.lower, problem.upper)
    end = jnp.where(weight > 0, problem.upper, problem.lower)
    terms = jnp.where(weight == 0, 0, weight * jnp.where(fixed, rest, end))
    lowest = jnp.where(v > 0, problem.row_lower, problem.row_upper)
    wanted = jnp.where(v == 0, 0, v * lowest)
    scale = jnp.sum(jnp.abs(wanted)) + jnp.sum(jnp.abs(terms))
    return jnp.sum(wanted) - jnp.sum(terms) > 1e-9 * scale


def _messages(multiplier: Array, equalities: int) -> dict[str, str]:
    known = concrete(multiplier)
    named = ""
    if known is not None:
        share = np.abs(known.ravel())
        worst = np.argsort(-share)[:5]
        worst = worst[share[worst] > 1e-3 * share.max(initial=0)]
        names = [
            f"row {r}" if r < equalities else f"inequality row {r - equalities}"
            for r in worst
        ]
        named = f" (the proof combines {', '.join(names)})" if names else ""
    return {
        "contradiction": (
            "constrained: expected rows and bounds that some field can meet together, "
            f"got ones that contradict each other{named}; widen the bounds, correct "
            "these rows, or pass a noise_std to the constraint"
        ),
        **_MESSAGES,
    }


_MESSAGES = {
    "not_finite": (
        "constrained: expected a finite mean, root and operator, and bounds that are "
        "numbers, got NaN or infinity; pass None, -inf (lower) or inf (upper) for an "
        "open bound"
    ),
    "disordered": (
        "constrained: expected lower <= upper and row_lower <= row_upper everywhere, "
        "got a lower one above its upper one; swap them"
    ),
    "not_solved": (
        "constrained: expected rows and bounds that can be met together, got no "
        "convergence; check that they don't contradict each other, or pass a noise_std "
        "to the constraint"
    ),
}
_LEAST = 1e-290
