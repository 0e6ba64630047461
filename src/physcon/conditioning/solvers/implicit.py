"""The posterior mean by any solver: its value in float64, and one implicit derivative.

With multipliers λ = S⁻¹ (b - G μ) and the posterior mean μ' = μ + Σ Gᵀ λ,
differentiating

    μ' = μ + Σ Gᵀ λ        G μ' + N λ = b

gives the tangent of a conditioning, which is a conditioning again: at fixed
multipliers the mean moves by a, and what the rows then miss is distributed by the same
factor,

    a = d(μ + Σ Gᵀ λ)|λ     c = db - d(G μ' + N λ)|μ',λ - G a
    dλ = S⁻¹ c              dμ' = a + Σ Gᵀ dλ

For redundant rows the same holds, for every change that leaves them redundant and
consistent. The distance q = rᵀ S⁻¹ r, r = b - G μ, moves by dq = λᵀ (dr + c).
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._checks import inexact_leaves
from physcon._numerics.float64 import in_float64
from physcon._status import Outcome
from physcon._typing import Array, Float, Int, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Exact, Factor, inverse, unmoved
from physcon.conditioning.solvers.interface import Solver


class Update(NamedTuple):
    """A conditioning, as it leaves float64."""

    mean: Float[Array, "*x"]
    multiplier: Float[Array, "*y"]
    distance: Scalar  # (b - G μ)ᵀ S⁻¹ (b - G μ)
    factor: Exact[Factor] | None  # None: the solver doesn't keep it
    outcome: Outcome
    steps: Int[Array, ""]


@partial(jax.jit, static_argnames="single")
def _advance(
    solver: Solver, prior: Gaussian, law: LinearConstraint, single: bool
) -> Update:
    step = solver.advance(prior, law, single)
    factor = Exact.of(step.factor, single) if solver.keep else None
    return Update(
        step.mean, step.multiplier, step.distance, factor, step.outcome, step.steps
    )


@jax.custom_jvp
def update(solver: Solver, prior: Gaussian, law: LinearConstraint) -> Update:
    """Condition `prior` on `law`; the mean is rounded once to the caller's dtype."""
    args = (solver, prior, law)
    single = jnp.result_type(*inexact_leaves(args)) != jnp.float64
    return in_float64(partial(_advance, single=single))(*args)


@update.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Update, Any]:
    solver, prior, law = primals
    _, d_prior, d_law = tangents
    new = update(*primals)

    def moved(prior: Gaussian, operator: Any) -> Array:
        pulled = prior.root.rmv(operator.rmv(new.multiplier))
        return prior.mean + prior.root.mv(pulled)

    def missed(law: LinearConstraint) -> Array:
        left = law.value - law.operator.mv(new.mean)
        if law.noise_std is None:
            return left
        return left - law.noise_std * (law.noise_std * new.multiplier)

    def missing(prior: Gaussian, law: LinearConstraint) -> Array:
        return law.value - law.operator.mv(prior.mean)

    with jax.default_matmul_precision("highest"):
        if new.factor is None:
            frozen = jax.lax.stop_gradient((prior, law))
            factor, d_factor = solver.factorise(*frozen), None
        else:
            factor = new.factor.tree()
            d_high = solver.tangent(factor, (prior, law), (d_prior, d_law))
            d_factor = Exact(d_high, unmoved(new.factor.low))
        operator = law.operator
        moves = (prior, operator), (d_prior, d_law.operator)
        _, a = jax.jvp(moved, *moves)
        _, d_missed = jax.jvp(missed, (law,), (d_law,))
        c = d_missed - operator.mv(a)
        d_multiplier, *_ = inverse(factor, prior.root, law)(c)
        change = prior.root.mv(prior.root.rmv(operator.rmv(d_multiplier)))
        _, d_missing = jax.jvp(missing, (prior, law), (d_prior, d_law))
        tangent = Update(
            mean=a + change,
            multiplier=d_multiplier,
            distance=jnp.sum(new.multiplier * (d_missing + c)),
            factor=d_factor,
            outcome=unmoved(new.outcome),
            steps=unmoved(new.steps),
        )
    return new, tangent
