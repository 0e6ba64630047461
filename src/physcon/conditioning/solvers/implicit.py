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
from physcon._derivative_rules import WithDerivative
from physcon._numerics.float64 import in_float64
from physcon._numerics.safe import power_of_two
from physcon._status import Outcome, failed
from physcon._typing import Array, Bool, Float, Int, Scalar
from physcon.conditioning._verdict import judged
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.contradiction import contradicted
from physcon.conditioning.solvers.factor import Exact, Factor, inverse, unmoved
from physcon.conditioning.solvers.interface import Solver
from physcon.conditioning.solvers.units import factor_tangent
from physcon.linear_map import Root, Rows
from physcon.linear_map.basic import Scaled, total


class Update(NamedTuple):
    """A conditioning, as it leaves float64."""

    mean: Float[Array, "*x"]
    multiplier: Float[Array, "*y"]
    distance: Scalar  # (b - G μ)ᵀ S⁻¹ (b - G μ)
    factor: Exact[Factor] | None  # None: the solver doesn't keep it
    outcome: Outcome
    steps: Int[Array, ""]
    contradicted: Bool[Array, ""]  # whether rows that are missed cannot be met
    roundings: Float[Array, "*y"] | None = None  # as in `Step`
    unit: Scalar | None = None  # a power of two


@partial(jax.jit, static_argnames="single")
def _advance(
    solver: Solver, prior: Gaussian, law: LinearConstraint, single: bool
) -> Update:
    step = solver.advance(prior, law, single)
    factor = Exact.of(step.factor, single) if solver.keep else None
    unit = None if step.unit is None else _power_of_two(step.unit, single)
    eps = float(jnp.finfo(jnp.float32 if single else step.mean.dtype).eps)
    divided = bool(getattr(solver, "mesh_axes", ()))
    return Update(
        mean=step.mean,
        multiplier=step.multiplier,
        distance=step.distance,
        factor=factor,
        outcome=step.outcome,
        steps=step.steps,
        contradicted=contradicted(step, prior, law, eps, divided),
        roundings=step.roundings,
        unit=unit,
    )


@WithDerivative
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
    operator = law.operator
    unit = _unit(solver, prior, law, new)
    multiplier = unit * new.multiplier

    def pushed(root: Root) -> Array:
        return root.mv(root.rmv(operator.rmv(new.multiplier)))

    def change(y: Array) -> Array:
        """Σ y, of y in units: in range, and so is the transpose."""
        return prior.root.mv(prior.root.rmv(y) / unit)

    def missed(law: LinearConstraint) -> Array:
        left = law.value - law.operator.mv(new.mean)
        if law.noise_std is None:
            return left
        sigma = law.noise_std / unit
        return left - unit * (sigma * (sigma * multiplier))

    def missing(prior: Gaussian, law: LinearConstraint) -> Array:
        return law.value - law.operator.mv(prior.mean)

    with jax.default_matmul_precision("highest"):
        # Not `prior.root.scaled`, which would write an array of the size of the field.
        root = Scaled(prior.root, 1 / unit)
        sigma = None if law.noise_std is None else law.noise_std / unit
        scaled_law = LinearConstraint(operator, law.value, sigma)
        if new.factor is None:
            whole = Gaussian(prior.mean, prior.root.scaled(1 / unit))
            frozen = jax.lax.stop_gradient((whole, scaled_law))
            factor, d_factor = solver.factorise(*frozen), None
        else:
            own = new.factor.tree()
            both = (prior, law), (d_prior, d_law)
            d_high = factor_tangent(solver, own, *both, unit)
            d_factor = Exact(d_high, unmoved(new.factor.low))
            factor = own.scaled(1 / unit) or own
        # The variance's own derivative stays in range without units.
        _, a = jax.jvp(pushed, (prior.root,), (d_prior.root,))
        rows = (operator,), (d_law.operator,)
        _, d_pull = jax.jvp(lambda g: g.rmv(multiplier), *rows)
        a = d_prior.mean + a + change(d_pull)
        _, d_missed = jax.jvp(missed, (law,), (d_law,))
        c = d_missed - operator.mv(a)
        d_multiplier, *_ = inverse(factor, root, scaled_law)(c / unit)
        d_multiplier = d_multiplier * _slope(new, law, prior.mean.size)
        _, d_missing = jax.jvp(missing, (prior, law), (d_prior, d_law))
        tangent = Update(
            mean=a + change(operator.rmv(d_multiplier)),
            multiplier=d_multiplier / unit,
            distance=jnp.sum(multiplier * ((d_missing + c) / unit)),
            factor=d_factor,
            outcome=unmoved(new.outcome),
            steps=unmoved(new.steps),
            contradicted=unmoved(new.contradicted),
            roundings=unmoved(new.roundings),
            unit=unmoved(new.unit),
        )
    return new, tangent


def guards_itself(new: Update, law: LinearConstraint) -> bool:
    """Whether the mean's derivatives are NaN after a failure without `settle`.

    Dense rows spread a NaN in the multipliers to every point, in both modes. This saves
    a pass over the field, in which `settle` multiplies the mean's tangent.
    """
    return new.roundings is not None and isinstance(law.operator, Rows)


def _slope(new: Update, law: LinearConstraint, points: int) -> Scalar | float:
    """1, or NaN if the conditioning failed and its mean guards itself."""
    if new.roundings is None or not guards_itself(new, law):
        return 1.0
    roundings = jax.lax.stop_gradient(new.roundings)
    outcome = judged(new.outcome, new.multiplier, roundings, points, new.contradicted)
    return jnp.where(failed(outcome), jnp.nan, jnp.ones((), roundings.dtype))


def _unit(
    solver: Solver, prior: Gaussian, law: LinearConstraint, new: Update
) -> Scalar:
    """The power of two by which a field is divided in tangents.

    Between Σ and S⁻¹ cotangents have the size of a variance, which is out of the range
    of float32 for fields of 1e20 or 1e-23. All devices of a divided field share it.
    """
    dtype = prior.mean.dtype
    if new.factor is not None and new.factor.tree().scaled(jnp.ones((), dtype)) is None:
        return jnp.ones((), dtype)  # this factor can't be scaled
    if new.unit is not None:
        return new.unit
    size = total(law.operator, jnp.asarray(prior.root.unit(), dtype))
    return power_of_two(solver.largest(size))


def _power_of_two(size: Scalar, single: bool) -> Scalar:
    """As `power_of_two`; `single`: the result is a normal number of float32."""
    unit = power_of_two(size)
    return jnp.clip(unit, 2.0**-100, 2.0**100) if single else unit
