"""Conditioning a Gaussian on linear constraints: the heart of physcon.

Any prediction with an uncertainty is a Gaussian prior; a law of physics in integral
form is a few rows G u = b; the posterior obeys it, moves the prediction where it is
least certain, and is a Gaussian again.
"""

from typing import NamedTuple

import jax.numpy as jnp

from physcon._checks import error_if, require_given, require_same_field
from physcon._numerics.float64 import float64_primal, in_one_dtype, join
from physcon._typing import Array, Float, Int, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.downdate import Downdate
from physcon.conditioning.gain import solve
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.many_rows import Innovation
from physcon.conditioning.many_rows import solve as solve_many
from physcon.conditioning.solvers import Solver, structured_solver
from physcon.conditioning.status import (
    GOOD,
    NOT_FINITE,
    NOT_FINITE_MESSAGE,
    NOT_SOLVED,
    NOT_SOLVED_MESSAGE,
    checked,
    status_of,
)
from physcon.linear_map import LinearMap


class Conditioned(NamedTuple):
    """Result of `condition`.

    Attributes:
        posterior: the Gaussian given the constraint.
        log_evidence: log N(b; G μ, S): how well the prior predicted the value, scalar. None where
            an iterative solver doesn't know det S.
        residual: b - G μ' of the posterior mean, one per row, summed in float64.
        status: 0 independent rows, all met; 1 a NaN or infinity came in: all of the result is NaN;
            2 redundant rows (copies or sums of others, or rows that see only points of zero
            variance), all met: the answer is that without them; 3 rows that contradict each other
            or what the prior is certain of: the answer meets them in the sense of least squares,
            each row in units of its prior standard deviation; 4 an iterative solver didn't reach
            its tolerance.
        steps: of an iterative solver.
    """

    posterior: Gaussian
    log_evidence: Scalar | None
    residual: Float[Array, "*y"]
    status: Int[Array, ""]
    steps: Int[Array, ""] | int = 0


def condition(
    prior: Gaussian,
    constraint: LinearConstraint,
    *,
    solver: Solver | None = None,
    throw: bool = True,
) -> Conditioned:
    """The posterior of `prior` given `constraint`; exact where ``noise_std is None``.

        μ' = μ + Σ Gᵀ S⁻¹ (b - G μ)      Σ' = Σ - Σ Gᵀ S⁻¹ G Σ      S = G Σ Gᵀ + N

    Shapes: fields ``(*x)``, m rows; cost O(m n) for diagonal roots, memory O(m n), no
    n-by-n array. One sample; batch with `jax.vmap`.

    The mean is computed in float64 and rounded once: |G μ' - b| <= eps (|G| |μ'| + |b|)
    in the caller's precision. Differentiable in both modes in everything that is an
    array: mean, root, operator, value, noise. Gradients carry the caller's precision
    times the condition number of S.

    Args:
        solver: None: by the operator: a small Gram matrix for a few rows; `Tridiagonal` or
            `ConjugateGradient` for laws with a row per cell (`balance`, `divergence_free`).

    Raises:
        ValueError: shapes that don't match, while tracing.
        RuntimeError: at run time under ``throw=True``: NaN, or rows that contradict each other,
            named with what they miss (`Conditioned.status`). ``throw=False`` returns the status
            instead, and its program holds no host callback, so it can be exported.

    Source: Hansen et al. (2023), eq. 9 and the limit in sec. 4.1; Rasmussen and
    Williams (2006), eq. A.6.

    >>> from physcon.conditioning.constraint import integral
    >>> prior = Gaussian.diagonal(jnp.array([1.0, 1.0]), jnp.array([1.0, 2.0]))
    >>> posterior = condition(prior, integral(jnp.ones(2), 7.0)).posterior
    >>> posterior.mean.tolist()  # the missing 5 go where the variance is: 1 to 4
    [2.0, 5.0]
    """
    require_given(prior, Gaussian, "prior")
    require_given(constraint, LinearConstraint, "constraint")
    prior, constraint = in_one_dtype(prior, constraint)
    require_same_field(prior.mean.shape, tuple(constraint.operator.in_shape))
    noise_std = constraint.noise()
    if solver is None:
        eps = float(jnp.finfo(prior.mean.dtype).eps)
        solver = structured_solver(prior.root, constraint.operator, eps)
    if solver is not None:
        return _condition_many(prior, constraint, noise_std, solver, throw)
    gain = solve(
        prior.mean, prior.root, constraint.operator, constraint.value, noise_std
    )
    status = status_of(gain)
    mean = checked(gain.mean, gain, status) if throw else gain.mean
    root = Downdate(
        prior.root,
        constraint.operator,
        gain.scale,
        gain.whitener,
        gain.order,
        gain.log_det,
        constraint.noise_std,
        gain.whitened,
    )
    posterior = Gaussian(mean, root)
    scaled = gain.scale * constraint.residual(prior.mean)
    whitened = jnp.matmul(join(gain.whitener), scaled, precision="highest")
    rank = jnp.sum(root.kept())
    distance = jnp.sum(whitened**2)
    log_evidence = -0.5 * (distance + gain.log_det + rank * jnp.log(2 * jnp.pi))
    return Conditioned(posterior, log_evidence, constraint.residual(mean), status)


def _condition_many(
    prior: Gaussian,
    constraint: LinearConstraint,
    noise_std: Float[Array, "*y"],
    solver: Solver,
    throw: bool,
) -> Conditioned:
    """`condition` without a Gram matrix."""
    operator = constraint.operator
    solution = solve_many(
        solver, prior.mean, prior.root, operator, constraint.value, noise_std
    )
    finite = jnp.all(jnp.isfinite(solution.mean))
    status = jnp.where(
        finite,
        jnp.where(solution.unmet <= max(10 * solver.rtol, 1e-5), GOOD, NOT_SOLVED),
        NOT_FINITE,
    )
    mean = error_if(solution.mean, status == NOT_FINITE, NOT_FINITE_MESSAGE, throw)
    mean = error_if(mean, status == NOT_SOLVED, NOT_SOLVED_MESSAGE, throw)
    posterior = Gaussian(
        mean, Innovation(prior.root, operator, constraint.noise_std, solver)
    )
    log_det = _log_det(solver, prior.root, operator, noise_std)
    missing = constraint.residual(prior.mean)
    log_evidence = None
    if log_det is not None:
        distance = jnp.sum(missing * solution.multiplier)
        log_evidence = -0.5 * (distance + log_det + missing.size * jnp.log(2 * jnp.pi))
    return Conditioned(
        posterior, log_evidence, constraint.residual(mean), status, solution.steps
    )


@float64_primal
def _log_det(
    solver: Solver, root: LinearMap, operator: LinearMap, noise_std: Array
) -> Scalar | None:
    return solver.log_det(root, operator, noise_std)
