"""The root of a posterior covariance after conditioning on many rows."""

import math
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from physcon._checks import inexact_leaves, require
from physcon._typing import Array, Bool, Float, Scalar, Shape
from physcon.conditioning._masked import masked
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Exact, Factor, inverse
from physcon.linear_map import (
    ROUNDING,
    Compose,
    Diagonal,
    LinearMap,
    Root,
    Sum,
    split_fields,
)

if TYPE_CHECKING:
    from physcon.conditioning.solvers.interface import Solver


class MatheronRoot(Root):
    """Root of a posterior by Matheron's rule: draw, then subtract what the draw misses.

        R' [z, η] = R z - Σ Gᵀ S⁻¹ (G R z + σ η)      R' R'ᵀ = Σ - Σ Gᵀ S⁻¹ G Σ

    Each application costs one solve. The latent space includes η only under noise.

    Attributes:
        factor: of S; None: `solver` makes it at each application.

    Source: Wilson et al., JMLR 22 (2021), eq. 11; Joseph's form of the covariance.
    """

    root: Root
    operator: LinearMap
    noise_std: Float[Array, "*y"] | None
    solver: "Solver"
    factor: Exact[Factor] | None = None

    @property
    def in_shape(self) -> Shape:
        return self.root.in_shape if self.noise_std is None else self._pair().in_shape

    @property
    def out_shape(self) -> Shape:
        return self.root.out_shape

    def unit(self) -> Scalar | float:
        return self.root.unit()

    def scaled(self, factor: Scalar) -> Root:
        sigma = None if self.noise_std is None else factor * self.noise_std
        root = self.root.scaled(factor)
        held = None
        if self.factor is not None:
            scaled = self.factor.tree().scaled(factor)
            if scaled is None:
                return super().scaled(factor)
            held = Exact.of(scaled, single=False)
        return MatheronRoot(root, self.operator, sigma, self.solver, held)

    def undiminished(self) -> Root:
        return self.root.undiminished()

    def _pair(self) -> Sum:
        """[G R, σ] on the latent and the noise together."""
        assert self.noise_std is not None
        return Sum(Compose(self.operator, self.root), Diagonal(self.noise_std))

    def _law(self) -> LinearConstraint:
        dtype = jnp.result_type(*inexact_leaves(self.operator))
        value = jnp.zeros(self.operator.out_shape, dtype)
        return LinearConstraint(self.operator, value, self.noise_std)

    def _factor(self) -> Factor:
        if self.factor is not None:
            return self.factor.tree()
        root, law = jax.lax.stop_gradient((self.root, self._law()))
        mean = jnp.zeros(root.out_shape, law.value.dtype)
        return self.solver.factorise(Gaussian(mean, root), law)

    def _solve(self, r: Array) -> Array:
        x, *_ = inverse(self._factor(), self.root, self._law())(r)
        return x

    def mv(self, x: Array) -> Array:
        if self.noise_std is None:
            drawn = self.root.mv(x)
            missed = self.operator.mv(drawn)
        else:
            pair = self._pair()
            z, _ = split_fields(x, tuple(p.in_shape for p in pair.parts))
            drawn = self.root.mv(z)
            missed = pair.mv(x)
        back = self.operator.rmv(self._solve(missed))
        return drawn - self.root.mv(self.root.rmv(back))

    def rmv(self, y: Array) -> Array:
        z = self.root.rmv(y)
        multiplier = self._solve(self.operator.mv(self.root.mv(z)))
        if self.noise_std is None:
            return self.root.rmv(y - self.operator.rmv(multiplier))
        padded = jnp.pad(z.reshape(-1), (0, multiplier.size))
        return padded - self._pair().rmv(multiplier)

    def gram_diagonal(self) -> Array:
        """The variances; one solve per point where the factor has no closed form."""
        removed = self._factor().variance_removed(self.root, self.operator)
        if removed is None:
            _require_few_solves(self.out_shape, self.operator.out_shape)
            return super().gram_diagonal()
        variance = self.root.gram_diagonal() - removed
        # Clipped at zero against rounding, without a kink in the derivative.
        return variance + jax.lax.stop_gradient(jnp.maximum(-variance, 0))

    def _exact(self) -> Bool[Array, "*y"]:
        """Rows without noise."""
        sigma = self.noise_std
        return jnp.ones(self.operator.out_shape, bool) if sigma is None else sigma == 0

    def _area(self) -> Factor:
        """The factor of G Gᵀ over the exact rows, along the support of the prior."""
        from physcon.conditioning.solvers.implicit import update
        from physcon.conditioning.solvers.woodbury import Woodbury

        self._require_whole_support()
        solver = self.solver.inner if isinstance(self.solver, Woodbury) else self.solver
        dtype = jnp.result_type(*inexact_leaves(self.operator))
        spread = self.root.gram_diagonal() > 0
        whole = Gaussian(jnp.zeros(spread.shape, dtype), Diagonal(spread.astype(dtype)))
        operator = masked(self.operator, self._exact())
        value = jnp.zeros(operator.out_shape, dtype)
        found = update(solver, whole, LinearConstraint(operator, value)).factor
        if found is None:
            raise NotImplementedError(
                f"{type(self.solver).__name__} computes no determinant, which a "
                "density needs; draw samples, or pass a solver that has a factor"
            )
        return found.tree()

    def _require_whole_support(self) -> None:
        """Raise if the prior lives in a subspace: rows are not projected onto it."""
        rank = self.root.covariance_root_rank()
        small = isinstance(rank, int) and rank < math.prod(self.root.out_shape)
        if small or self.root.undiminished() is not self.root:
            raise NotImplementedError(
                f"{type(self.solver).__name__} has no density under a prior that was "
                "conditioned before, or of low rank; stack the laws and condition "
                "once, or pass solver=DenseGram()"
            )

    def covariance_root_rank(self) -> Array:
        removed = self._area().rank(math.prod(self.operator.out_shape))
        return jnp.asarray(self.root.covariance_root_rank()) - removed

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        """That of the prior, and of the noise in noisy rows."""
        distance = self.root.mahalanobis(e, scale)
        missed = self.operator.mv(e)
        exact = self._exact()
        met = jnp.abs(missed) <= ROUNDING * self.operator.magnitude(scale)
        if self.noise_std is not None:
            sigma = jnp.where(exact, 1, self.noise_std)
            distance = distance + jnp.sum(jnp.where(exact, 0, missed / sigma) ** 2)
        return jnp.where(jnp.all(met | ~exact), distance, jnp.inf)

    def log_volume(self) -> Array:
        """½ log det(G Gᵀ) + Σ log σ - ½ log det S, on top of the prior's volume.

        See `DowndatedRoot.log_volume`.
        """
        gained, own = self._area().log_det, self._factor().log_det
        assert gained is not None
        assert own is not None
        total = 0.5 * (gained - own)
        if self.noise_std is not None:
            sigma = jnp.where(self._exact(), 1, self.noise_std)
            total = total + jnp.sum(jnp.log(sigma))
        return self.root.log_volume() + total


#: Points times rows up to which variances are found by one solve for each point.
SOLVES = 2**28


def _require_few_solves(field: Shape, rows: Shape) -> None:
    points, count = math.prod(field), math.prod(rows)
    require(
        points * count <= SOLVES,
        "a posterior whose variances have a closed form (DenseGram, SparseCholesky, "
        f"...), or one of at most {SOLVES:.1g} points times rows",
        f"{points} points and {count} rows, with one iterative solve for each point",
        "estimate the spread from draws, posterior.sample(key, (200,)).std(axis=0), "
        "or build the law with from_matrix, which solver=SparseCholesky() takes",
    )
