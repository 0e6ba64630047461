"""Conditioning on as many rows as there are points: the Gram matrix is applied, never
formed.

The same equations as in `physcon.conditioning.gain`, with S⁻¹ a function
(`physcon.conditioning.solvers`), in local float64 like everything that decides a
residual.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._numerics.float64 import in_float64
from physcon._typing import Array, Float, Int, Scalar, Shape
from physcon.conditioning.solvers import Inverse, Solver
from physcon.linear_map import Compose, Diagonal, LinearMap, Sum, split_fields


class Solution(NamedTuple):
    """Posterior mean, multipliers λ = S⁻¹ (b - G μ), |S λ - b + G μ| / |b - G μ|, steps
    taken.
    """

    mean: Float[Array, "*x"]
    multiplier: Float[Array, "*y"]
    unmet: Scalar
    steps: Int[Array, ""]


def _solve(
    solver: Solver,
    mean: Array,
    root: LinearMap,
    operator: LinearMap,
    value: Array,
    noise_std: Array,
) -> Solution:
    missing = value - operator.mv(mean)
    multiplier, steps = solver.inverse(root, operator, noise_std)(missing)
    change = root.mv(root.rmv(operator.rmv(multiplier)))
    left = missing - operator.mv(change) - noise_std**2 * multiplier
    largest = solver.largest(missing)
    unmet = solver.largest(left) / jnp.where(largest == 0, 1, largest)
    return Solution(mean + change, multiplier, unmet, steps)


@jax.custom_jvp
def solve(
    solver: Solver,
    mean: Array,
    root: LinearMap,
    operator: LinearMap,
    value: Array,
    noise_std: Array,
) -> Solution:
    """As `physcon.conditioning.gain.solve`, with the same implicit tangent."""

    def run(*args):  # type: ignore[no-untyped-def]
        return _solve(solver, *args)

    return in_float64(run)(mean, root, operator, value, noise_std)


@solve.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Solution, Solution]:
    solver, mean, root, operator, _, noise_std = primals
    _, d_mean, d_root, d_operator, d_value, d_noise = tangents
    solution = solve(*primals)

    def moved(mean: Array, root: LinearMap, operator: LinearMap) -> Array:
        return mean + root.mv(root.rmv(operator.rmv(solution.multiplier)))

    def predicted(operator: LinearMap, noise_std: Array) -> Array:
        return operator.mv(solution.mean) + noise_std**2 * solution.multiplier

    with jax.default_matmul_precision("highest"):
        _, a = jax.jvp(moved, (mean, root, operator), (d_mean, d_root, d_operator))
        _, dp = jax.jvp(predicted, (operator, noise_std), (d_operator, d_noise))
        missing = d_value - dp - operator.mv(a)
        d_multiplier, _ = solver.inverse(root, operator, noise_std)(missing)
        d_mean = a + root.mv(root.rmv(operator.rmv(d_multiplier)))
        no_steps = np.zeros(solution.steps.shape, jax.dtypes.float0)
        unmoved = jnp.zeros_like(solution.unmet)
        tangent = Solution(d_mean, d_multiplier, unmoved, no_steps)  # type: ignore
    return solution, tangent


class Innovation(LinearMap):
    """Root of a posterior by Matheron's rule: draw, then distribute what the draw
    misses.

        R' [z, η] = R z - Σ Gᵀ S⁻¹ (G R z + σ η)      R' R'ᵀ = Σ - Σ Gᵀ S⁻¹ G Σ

    Each application costs one solve. The latent carries η only under noise.

    Source: Wilson et al., JMLR 22 (2021), eq. 11; Joseph's form of the covariance.
    """

    root: LinearMap
    operator: LinearMap
    noise_std: Float[Array, "*y"] | None
    solver: Solver

    @property
    def in_shape(self) -> Shape:
        return self.root.in_shape if self.noise_std is None else self._pair().in_shape

    @property
    def out_shape(self) -> Shape:
        return self.root.out_shape

    def undiminished(self) -> LinearMap:
        return self.root.undiminished()

    def _pair(self) -> Sum:
        """[G R, σ] on latent and noise together."""
        assert self.noise_std is not None
        return Sum(Compose(self.operator, self.root), Diagonal(self.noise_std))

    def _noise(self) -> Array:
        if self.noise_std is not None:
            return self.noise_std
        dtype = jnp.result_type(*jax.tree.leaves(self.operator))
        return jnp.zeros(self.operator.out_shape, dtype)

    def _inverse(self) -> Inverse:
        return self.solver.inverse(self.root, self.operator, self._noise())

    def mv(self, x: Array) -> Array:
        if self.noise_std is None:
            drawn, missed = self.root.mv(x), self.operator.mv(self.root.mv(x))
        else:
            pair = self._pair()
            z, _ = split_fields(x, tuple(p.in_shape for p in pair.parts))
            drawn, missed = self.root.mv(z), pair.mv(x)
        multiplier, _ = self._inverse()(missed)
        return drawn - self.root.mv(self.root.rmv(self.operator.rmv(multiplier)))

    def rmv(self, y: Array) -> Array:
        multiplier, _ = self._inverse()(
            self.operator.mv(self.root.mv(self.root.rmv(y)))
        )
        if self.noise_std is None:
            return self.root.rmv(y - self.operator.rmv(multiplier))
        return jnp.pad(
            self.root.rmv(y).reshape(-1), (0, multiplier.size)
        ) - self._pair().rmv(multiplier)

    def gram_diagonal(self) -> Array:
        """In closed form for `Tridiagonal`; else n solves, for small fields: use
        samples.
        """
        variance = self.solver.variance(self.root, self.operator, self._noise())
        if variance is None:
            return super().gram_diagonal()
        return variance + jax.lax.stop_gradient(jnp.maximum(-variance, 0))
