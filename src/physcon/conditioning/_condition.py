"""Conditioning a Gaussian on linear constraints: the heart of physcon.

Any prediction with an uncertainty is a Gaussian prior; a law of physics in integral
form is a few rows G u = b; the posterior obeys it, moves the prediction where it is
least certain, and is a Gaussian again.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require_given, require_same_field
from physcon._numerics.float64 import in_one_dtype
from physcon._show import shown
from physcon._status import Outcome, code, settle, worse
from physcon._typing import Array, Float, Int, Scalar
from physcon.conditioning._unmeasured import (
    RestoredRoot,
    reduced,
    refusal,
    restored_mean,
    unmeasured,
)
from physcon.conditioning._verdict import judged
from physcon.conditioning.constraint import LinearConstraint, misfit
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers import Auto, Solver
from physcon.conditioning.solvers.implicit import Update, guards_itself, update
from physcon.conditioning.status import CODES, excess, messages


class Conditioned(NamedTuple):
    """Result of `condition`.

    Attributes:
        posterior: the Gaussian given the constraint.
        log_evidence: log N(b; G μ, S), scalar: how well the prior predicted the value.
            None where the solver doesn't compute det S.
        residual: b - G μ' of the posterior mean, one per row, summed in float64.
        outcome: an `Outcome`. `good`: independent rows, all met. `redundant`: some rows
            are copies or sums of others, or see only points of zero variance; all are
            met, and the answer is the one without them. `contradiction`: rows
            contradict each other or what the prior is certain of; the answer meets them
            in the sense of least squares, each row in units of its prior standard
            deviation. `not_solved`: the residual is above the tolerance of the solver.
            `unobservable`: the rows don't determine a point with an infinite standard
            deviation; undetermined points keep their prior mean.
            `not_finite`: a NaN or an infinity came in; the whole result is NaN.
        steps: number of steps of an iterative solver.
    """

    posterior: Gaussian
    log_evidence: Scalar | None
    residual: Float[Array, "*y"]
    outcome: Outcome
    steps: Int[Array, ""] | int = 0

    __repr__ = shown

    @property
    def status(self) -> Int[Array, "*batch"]:
        """The outcome as the integer of version 0.1.

        0 good, 1 not_finite, 2 redundant, 3 contradiction, 4 not_solved.
        """
        return code(self.outcome, CODES)


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

    The mean is computed in float64 and rounded once to the caller's precision, so that
    |G μ' - b| <= 4 eps (|G| |μ'| + |b|) for independent rows; rows that are copies of
    each other but for rounding are merged, and met to 16 eps. Differentiable in both
    modes with respect to every array: mean, root, operator, value, noise. Gradients
    carry the caller's precision times the condition number of S.

    A standard deviation of infinity in a prior with independent errors stands for a
    point that was not measured. It is eliminated from the rows, which gives the limit
    of large standard deviations; the evidence then counts a prior density of 1 for each
    such point. The infinities and the entries of the law have to be known: under jit,
    close over them. `solver` is not used then.

    Args:
        solver: how the Gram matrix S is factored; None or `Auto()` chooses by the
            structure: `DenseGram` for a few rows, `Tridiagonal` or `ConjugateGradient`
            for laws with a row per cell (`balance`, `divergence_free`).
        throw: False returns the outcome instead of raising; the program then holds no
            host callback, so it can be exported.

    Raises:
        ValueError: shapes that don't match, while tracing.
        RuntimeError: at run time under ``throw=True``, for a failure that
            `Conditioned.outcome` lists; rows that contradict each other are named.

    Source: Hansen et al. (2023), eq. 9 and the limit in sec. 4.1; Rasmussen and
    Williams (2006), eq. A.6.

    >>> from physcon.conditioning.constraint import integral
    >>> prior = Gaussian.diagonal(jnp.array([1.0, 1.0]), jnp.array([1.0, 2.0]))
    >>> posterior = condition(prior, integral(jnp.ones(2), 7.0)).posterior
    >>> posterior.mean.tolist()  # the missing 5 go where the variance is: 1 to 4
    [2.0, 5.0]
    """
    prior, law = matched(prior, constraint)
    absent = unmeasured(prior)
    if absent is None:
        return _once(prior, law, solver, throw)
    return _with_unmeasured(prior, law, absent, throw)


def _with_unmeasured(
    prior: Gaussian, law: LinearConstraint, absent: np.ndarray, throw: bool
) -> Conditioned:
    """The limit of large standard deviations at the points `absent`."""
    left = reduced(prior, law, absent)
    found = _once(left.prior, left.law, None, throw)
    mean = restored_mean(left, found.posterior.mean)
    root = RestoredRoot(found.posterior.root, left.back, jnp.asarray(left.solved))
    evidence = found.log_evidence
    if evidence is not None:
        evidence = evidence + left.log_density
    lost = left.lost.size > 0
    outcome = worse(found.outcome, Outcome.unobservable if lost else Outcome.good)
    parts = (mean, root, evidence, law.residual(mean))
    sentences = {"unobservable": refusal(left.lost)} if lost else {}
    mean, root, evidence, residual = settle(parts, outcome, throw, sentences)
    return Conditioned(Gaussian(mean, root), evidence, residual, outcome, found.steps)


def _once(
    prior: Gaussian, law: LinearConstraint, solver: Solver | None, throw: bool
) -> Conditioned:
    """`condition` with finite standard deviations."""
    solver = Auto() if solver is None else solver
    require_given(solver, Solver, "solver")
    solver = solver.choose(prior, law)
    new, residual, roundings, outcome, evidence = _conditioned(solver, prior, law)
    # What a posterior root computes with: the factor, or the operator to make it from.
    held = law.operator if new.factor is None else new.factor
    guarded = not throw and guards_itself(new, law)
    parts = (None if guarded else new.mean, held, evidence, residual)
    sentences = partial(messages, roundings, residual)
    mean, held, evidence, residual = settle(parts, outcome, throw, sentences)
    mean = new.mean if guarded else mean
    if new.factor is None:
        law = LinearConstraint(held, law.value, law.noise_std)
        held = None
    posterior = Gaussian(mean, solver.posterior_root(prior, law, held))
    return Conditioned(posterior, evidence, residual, outcome, new.steps)


@jax.jit
def _conditioned(
    solver: Solver, prior: Gaussian, law: LinearConstraint
) -> tuple[Update, Array, Array, Outcome, Scalar | None]:
    """The update, its residual in two units, the outcome and the evidence.

    One compiled program outside of jit too.
    """
    new = update(solver, prior, law)
    if new.roundings is None:
        residual, size = misfit(law, new.mean)
        frozen = jax.lax.stop_gradient((prior, law, new, residual, size))
        roundings = excess(solver, *frozen)
    else:
        residual = law.residual(new.mean)
        roundings = jax.lax.stop_gradient(new.roundings)
    given = new.outcome, new.multiplier, roundings, prior.mean.size
    outcome = judged(*given, new.contradicted)
    return new, residual, roundings, outcome, log_evidence(new, law)


def matched(prior: object, law: object) -> tuple[Gaussian, LinearConstraint]:
    """Prior and constraint in one dtype, or an error if they don't fit each other."""
    require_given(prior, Gaussian, "prior")
    require_given(law, LinearConstraint, "constraint")
    assert isinstance(prior, Gaussian)
    assert isinstance(law, LinearConstraint)
    require_same_field(prior.mean.shape, tuple(law.operator.in_shape))
    return in_one_dtype(prior, law)


def log_evidence(new: Update, law: LinearConstraint) -> Scalar | None:
    """log N(b; G μ, S) over the independent rows, if the solver knows det S."""
    factor = None if new.factor is None else new.factor.tree()
    if factor is None or factor.log_det is None:
        return None
    rank = jnp.asarray(factor.rank(law.value.size), new.distance.dtype)
    return -0.5 * (new.distance + factor.log_det + rank * jnp.log(2 * jnp.pi))
