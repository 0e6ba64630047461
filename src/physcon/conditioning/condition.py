"""Conditioning a Gaussian on linear constraints: the heart of physcon.

Any prediction with an uncertainty is a Gaussian prior; a law of physics in integral form is a few
rows G u = b; the posterior obeys it, moves the prediction where it is least certain, and is a
Gaussian again.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._checks import error_if, require
from physcon._linalg import (
    Pair,
    along_rows,
    cholesky,
    combine,
    float64_primal,
    gram,
    inner,
    join,
    lower_inverse,
)
from physcon._typing import Array, Float, Int, Scalar, Shape
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gain import Gain, solve, whiten
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.many_rows import Innovation, Solver, structured_solver
from physcon.conditioning.many_rows import solve as solve_many
from physcon.linear_map import LinearMap


class Conditioned(NamedTuple):
    """Result of `condition`.

    Attributes:
        posterior: the Gaussian given the constraint.
        log_evidence: log N(b; G μ, S): how well the prior predicted the value, scalar. None where an
            iterative solver doesn't know det S.
        residual: b - G μ' of the posterior mean, one per row, summed in float64.
        status: 0 good; 1 a NaN or infinity came in; 2 redundant rows, or rows that see only points
            of zero variance; 3 an iterative solver didn't reach its tolerance.
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

    Shapes: fields ``(*x)``, m rows; cost O(m n) for diagonal roots, memory O(m n), no n-by-n array.
    One sample; batch with `jax.vmap`.

    The mean is computed in float64 and rounded once: |G μ' - b| <= eps (|G| |μ'| + |b|) in the
    caller's precision. Differentiable in both modes in everything that is an array: mean, root,
    operator, value, noise. Gradients carry the caller's precision times the condition number of S.

    Args:
        solver: None: by the operator: a small Gram matrix for a few rows; `Tridiagonal` or
            `ConjugateGradient` for laws with a row per cell (`balance`, `divergence_free`).

    Raises:
        ValueError: shapes that don't match, while tracing.
        RuntimeError: at run time under ``throw=True``: NaN, redundant rows (see
            `Conditioned.status`). ``throw=False`` returns the status instead, and its program holds
            no host callback, so it can be exported.

    Source: Hansen et al. (2023), eq. 9 and the limit in sec. 4.1; Rasmussen and Williams (2006),
    eq. A.6.

    >>> from physcon.conditioning.constraint import integral
    >>> prior = Gaussian.diagonal(jnp.array([1.0, 1.0]), jnp.array([1.0, 2.0]))
    >>> posterior = condition(prior, integral(jnp.ones(2), 7.0)).posterior
    >>> posterior.mean.tolist()  # the missing 5 go where the variance is: 1 to 4
    [2.0, 5.0]
    """
    field, rows = prior.mean.shape, constraint.operator.in_shape
    remedy = "functions act on one sample: batch with jax.vmap"
    require(tuple(rows) == field, f"a constraint on fields of shape {field}", tuple(rows), remedy)
    exact = constraint.noise_std is None
    noise_std = jnp.zeros_like(constraint.value) if exact else constraint.noise_std
    if solver is None:
        eps = float(jnp.finfo(prior.mean.dtype).eps)
        solver = structured_solver(prior.root, constraint.operator, eps)
    if solver is not None:
        return _condition_many(prior, constraint, noise_std, solver, throw)
    gain = solve(prior.mean, prior.root, constraint.operator, constraint.value, noise_std)
    status = _status(gain)
    mean = error_if(gain.mean, status == 1, _NOT_FINITE, throw)
    mean = error_if(mean, status == 2, _SINGULAR, throw)
    root = Downdate(
        prior.root,
        constraint.operator,
        gain.scale,
        gain.whitener,
        gain.log_det,
        constraint.noise_std,
    )
    posterior = Gaussian(mean, root)
    missing = constraint.residual(prior.mean)
    log_evidence = -0.5 * (
        jnp.sum(missing * gain.multiplier) + gain.log_det + missing.size * jnp.log(2 * jnp.pi)
    )
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
    solution = solve_many(solver, prior.mean, prior.root, operator, constraint.value, noise_std)
    finite = jnp.all(jnp.isfinite(solution.mean))
    status = jnp.where(finite, jnp.where(solution.unmet <= max(10 * solver.rtol, 1e-5), 0, 3), 1)
    mean = error_if(solution.mean, status == 1, _NOT_FINITE, throw)
    mean = error_if(mean, status == 3, _NOT_SOLVED, throw)
    posterior = Gaussian(mean, Innovation(prior.root, operator, constraint.noise_std, solver))
    log_det = _log_det(solver, prior.root, operator, noise_std)
    missing = constraint.residual(prior.mean)
    log_evidence = None
    if log_det is not None:
        distance = jnp.sum(missing * solution.multiplier)
        log_evidence = -0.5 * (distance + log_det + missing.size * jnp.log(2 * jnp.pi))
    return Conditioned(posterior, log_evidence, constraint.residual(mean), status, solution.steps)


@float64_primal
def _log_det(
    solver: Solver, root: LinearMap, operator: LinearMap, noise_std: Array
) -> Scalar | None:
    return solver.log_det(root, operator, noise_std)


class Downdate(LinearMap):
    """Root of a posterior covariance, R' = R (I - W̃ᵀ M W̃), of the prior root's own shape.

    W̃ = d G R are the scaled whitened rows, d S d = L Lᵀ, and M = L⁻ᵀ (L + d σ)⁻¹, which is S⁻¹ for
    exact rows; then R' R'ᵀ = Σ - Σ Gᵀ S⁻¹ G Σ.

    Source: Potter's square-root update in the vector form of Andrews, AIAA J. 6 (1968) 1165.
    """

    root: LinearMap
    operator: LinearMap
    scale: Float[Array, " m"]
    whitener: Pair
    log_det: Scalar
    noise_std: Float[Array, " m"] | None

    @property
    def in_shape(self) -> Shape:
        return self.root.in_shape

    @property
    def out_shape(self) -> Shape:
        return self.root.out_shape

    def _whitened(self) -> Float[Array, "m *z"]:
        return along_rows(self.scale, whiten(self.operator, self.root))

    def _factors(self) -> tuple[Float[Array, "m m"], Float[Array, "m m"]]:
        """(L⁻¹, (L + d σ)⁻¹), whose product, the first one transposed, is M."""
        whitener = join(self.whitener)
        if self.noise_std is None:
            return whitener, whitener
        noise = jnp.diag(self.scale * self.noise_std)
        eye = jnp.eye(whitener.shape[0], dtype=whitener.dtype)
        return whitener, lower_inverse(eye + whitener @ noise) @ whitener

    def mv(self, x: Array) -> Array:
        w, (left, right) = self._whitened(), self._factors()
        return self.root.mv(x - combine(left.T @ (right @ inner(w, x)), w))

    def rmv(self, y: Array) -> Array:
        w, (left, right) = self._whitened(), self._factors()
        x = self.root.rmv(y)
        return x - combine(right.T @ (left @ inner(w, x)), w)

    def gram_diagonal(self) -> Array:
        explained = jax.vmap(lambda r: self.root.mv(combine(r, self._whitened())))(
            join(self.whitener)
        )
        variance = self.root.gram_diagonal() - jnp.sum(explained**2, axis=0)
        # Clipped at zero against rounding, without a kink in the derivative.
        return variance + jax.lax.stop_gradient(jnp.maximum(-variance, 0))

    def covariance_root_rank(self) -> int:
        return self.root.covariance_root_rank() - (self.scale.size if self.noise_std is None else 0)

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        distance, missed = self.root.mahalanobis(e, scale), self.operator.mv(e)
        if self.noise_std is not None:
            return distance + jnp.sum((missed / self.noise_std) ** 2)
        rows = jnp.abs(self.operator.rows())
        rounding = 8 * jnp.finfo(jnp.float32).eps * inner(rows, scale)
        return jnp.where(jnp.all(jnp.abs(missed) <= rounding), distance, jnp.inf)

    def normals(self) -> Float[Array, "k *x"]:
        if self.noise_std is not None:
            return self.root.normals()
        rows = along_rows(self.scale, self.operator.rows())
        return jnp.concatenate([self.root.normals(), rows])

    def log_volume(self) -> Array:
        if self.noise_std is not None:
            gained = jnp.sum(jnp.log(self.noise_std))
        else:  # co-area factor of the new plane within the old one
            gained = _log_area(self.normals()) - _log_area(self.root.normals())
            gained = gained - jnp.sum(jnp.log(self.scale))
        return self.root.log_volume() + gained - 0.5 * self.log_det


def _log_area(normals: Float[Array, "k *x"]) -> Scalar:
    """log sqrt(det(G Gᵀ)); zero for no rows."""
    if normals.shape[0] == 0:
        return jnp.zeros((), normals.dtype)
    return jnp.sum(jnp.log(jnp.diag(cholesky(gram(normals)))))


def _status(gain: Gain) -> Int[Array, ""]:
    """1: the Gram matrix is not finite; 2: it is, but has no safe inverse."""
    diagonal = jnp.diagonal(join(gain.whitener))
    singular = ~jnp.all(jnp.isfinite(diagonal)) | jnp.any(diagonal > _LARGEST_PIVOT)
    return jnp.where(singular, 2, jnp.where(jnp.all(jnp.isfinite(gain.mean)), 0, 1))


#: Of L⁻¹ for unit rows: beyond it a row is another's copy to half of the digits of float64.
_LARGEST_PIVOT = 1e7
_NOT_FINITE = (
    "condition: expected a finite mean, root, operator and value, got NaN or infinity; NaN never "
    "means 'missing': give missing points zero weight in the constraint and a finite mean"
)
_NOT_SOLVED = (
    "condition: expected an iterative solver to reach its tolerance, got no further within "
    "max_steps; raise ConjugateGradient.max_steps or rtol, give the constraint a noise_std, or check "
    "that the laws don't contradict each other and that every cell sees some variance"
)
_SINGULAR = (
    "condition: expected independent rows that see some variance, got a singular Gram matrix; drop "
    "redundant rows, or give the constraint a noise_std"
)
