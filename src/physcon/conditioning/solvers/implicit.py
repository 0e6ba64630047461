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
from physcon._numerics.safe import power_of_two
from physcon._status import Outcome
from physcon._typing import Array, Float, Int, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Exact, Factor, inverse, unmoved
from physcon.conditioning.solvers.interface import Solver
from physcon.linear_map import LinearMap


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
    unit = _unit(prior, new)
    multiplier = unit * new.multiplier

    def moved(prior: Gaussian, operator: LinearMap) -> Array:
        root = prior.root.scaled(1 / unit)
        return prior.mean + unit * root.mv(root.rmv(operator.rmv(multiplier)))

    def missed(law: LinearConstraint) -> Array:
        left = law.value - law.operator.mv(new.mean)
        if law.noise_std is None:
            return left
        sigma = law.noise_std / unit
        return left - unit * (sigma * (sigma * multiplier))

    def missing(prior: Gaussian, law: LinearConstraint) -> Array:
        return law.value - law.operator.mv(prior.mean)

    with jax.default_matmul_precision("highest"):
        root, operator = prior.root.scaled(1 / unit), law.operator
        sigma = None if law.noise_std is None else law.noise_std / unit
        scaled_law = LinearConstraint(operator, law.value, sigma)
        if new.factor is None:
            frozen = jax.lax.stop_gradient((Gaussian(prior.mean, root), scaled_law))
            factor, d_factor = solver.factorise(*frozen), None
        else:
            own = new.factor.tree()
            d_high = solver.tangent(own, (prior, law), (d_prior, d_law))
            d_factor = Exact(d_high, unmoved(new.factor.low))
            factor = own.scaled(1 / unit) or own
        moves = (prior, operator), (d_prior, d_law.operator)
        _, a = jax.jvp(moved, *moves)
        _, d_missed = jax.jvp(missed, (law,), (d_law,))
        c = d_missed - operator.mv(a)
        d_multiplier, *_ = inverse(factor, root, scaled_law)(c / unit)
        change = unit * root.mv(root.rmv(operator.rmv(d_multiplier)))
        _, d_missing = jax.jvp(missing, (prior, law), (d_prior, d_law))
        tangent = Update(
            mean=a + change,
            multiplier=d_multiplier / unit,
            distance=jnp.sum(multiplier * ((d_missing + c) / unit)),
            factor=d_factor,
            outcome=unmoved(new.outcome),
            steps=unmoved(new.steps),
        )
    return new, tangent


def _unit(prior: Gaussian, new: Update) -> Scalar:
    """The power of two by which a field is divided in tangents.

    Between Σ and S⁻¹ cotangents have the size of a variance, which is out of the range
    of float32 for fields of 1e20 or 1e-23.
    """
    dtype = prior.mean.dtype
    if new.factor is not None and new.factor.tree().scaled(jnp.ones((), dtype)) is None:
        return jnp.ones((), dtype)  # this factor can't be scaled
    return power_of_two(jnp.asarray(prior.root.unit(), dtype))
