"""Conditioning on as many rows as there are points: the Gram matrix is applied, never formed.

The same equations as in `physcon.conditioning.gain`, with S⁻¹ a function: two sweeps for a law that
couples cells along one axis only (`Tridiagonal`), else preconditioned conjugate gradients
(`ConjugateGradient`), in local float64 like everything that decides a residual.
"""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon import _tridiagonal
from physcon._linalg import in_float64
from physcon._typing import Array, Float, Int, Scalar, Shape
from physcon.conditioning.laplacian import preconditioner
from physcon.linear_map import Compose, Diagonal, Difference, LinearMap, Sum, split_fields

Apply = Callable[[Float[Array, "*y"]], Float[Array, "*y"]]
#: y -> S⁻¹ y, and the number of steps it took.
Inverse = Callable[[Float[Array, "*y"]], tuple[Float[Array, "*y"], Int[Array, ""]]]


def gram_apply(
    root: LinearMap, operator: LinearMap, noise_std: Float[Array, "*y"], y: Float[Array, "*y"]
) -> Float[Array, "*y"]:
    """S y = G Σ Gᵀ y + N y."""
    return operator.mv(root.mv(root.rmv(operator.rmv(y)))) + noise_std**2 * y


class Solver(eqx.Module):
    """How S⁻¹ is applied; holds static settings only."""

    #: Aim for |S λ - r| / |r|. Ten times as much, but at least 1e-5, counts as not solved.
    rtol: eqx.AbstractVar[float]

    @abc.abstractmethod
    def inverse(
        self, root: LinearMap, operator: LinearMap, noise_std: Float[Array, "*y"]
    ) -> Inverse:
        """The function y -> S⁻¹ y, with its number of steps."""

    @abc.abstractmethod
    def log_det(
        self, root: LinearMap, operator: LinearMap, noise_std: Float[Array, "*y"]
    ) -> Scalar | None:
        """log det S, or None where it has no cheap value."""

    def variance(
        self, root: LinearMap, operator: LinearMap, noise_std: Float[Array, "*y"]
    ) -> Float[Array, "*x"] | None:
        """diag(Σ - Σ Gᵀ S⁻¹ G Σ), or None where it has no cheap value."""
        return None


class Tridiagonal(Solver):
    """Exact, O(n): one `Difference` and independent errors; cells couple along its axis only."""

    rtol: float = eqx.field(static=True, default=1e-8)

    def _factor(
        self, root: Diagonal, operator: Difference, noise_std: Array
    ) -> _tridiagonal.Factor:
        w = jnp.moveaxis((operator.area * root.diagonal) ** 2, operator.axis, 0)
        diagonal = operator.both_sides((operator.area * root.diagonal) ** 2) + noise_std**2
        diagonal = jnp.moveaxis(diagonal, operator.axis, 0)
        first = int(operator.ends[0])
        return _tridiagonal.factorise(diagonal, -w[first : first + diagonal.shape[0] - 1])

    def inverse(self, root: LinearMap, operator: LinearMap, noise_std: Array) -> Inverse:
        root, operator = _separable(root, operator)
        factor, axis = self._factor(root, operator, noise_std), operator.axis

        def apply(y: Array) -> tuple[Array, Array]:
            x = _tridiagonal.solve(factor, jnp.moveaxis(y, axis, 0))
            return jnp.moveaxis(x, 0, axis), jnp.zeros((), jnp.int32)

        return apply

    def log_det(self, root: LinearMap, operator: LinearMap, noise_std: Array) -> Scalar:
        root, operator = _separable(root, operator)
        return jnp.sum(jnp.log(self._factor(root, operator, noise_std).pivots))

    def variance(self, root: LinearMap, operator: LinearMap, noise_std: Array) -> Array:
        # Face i bounds cells i-1, i; Z = S⁻¹: (Gᵀ Z G)_ii = area² (Z_i-1,i-1 - 2 Z_i-1,i + Z_ii)
        root, operator = _separable(root, operator)
        diagonal, off = _tridiagonal.inverse_band(self._factor(root, operator, noise_std))
        low, high = (int(end) for end in operator.ends)
        inner = diagonal[:-1] + diagonal[1:] - 2 * off
        seen = jnp.concatenate([diagonal[:low], inner, diagonal[diagonal.shape[0] - high :]])
        variance = root.diagonal**2
        explained = variance**2 * operator.area**2 * jnp.moveaxis(seen, 0, operator.axis)
        return variance - explained


def _separable(root: LinearMap, operator: LinearMap) -> tuple[Diagonal, Difference]:
    if not (isinstance(root, Diagonal) and isinstance(operator, Difference)) or operator.periodic:
        raise ValueError(
            "expected independent errors (Diagonal) and one Difference for Tridiagonal, got "
            f"{type(root).__name__} and {type(operator).__name__}; use ConjugateGradient"
        )
    return root, operator


class ConjugateGradient(Solver):
    """Preconditioned conjugate gradients, to |r| <= rtol |r_0|.

    For laws made of `Difference` parts the preconditioner is a fast Laplacian solve
    (`physcon.conditioning.laplacian`): the number of steps doesn't depend on n, only on how far the
    variances are from a product of profiles, and on their correlation. Other laws: plain steps.

    Attributes:
        rtol: tolerance; at least a few roundings of the arithmetic that runs.
        max_steps: after these `Conditioned.status` tells.
    """

    rtol: float = eqx.field(static=True, default=1e-8)
    max_steps: int = eqx.field(static=True, default=500)

    def inverse(self, root: LinearMap, operator: LinearMap, noise_std: Array) -> Inverse:
        frozen = jax.lax.stop_gradient((root, operator, noise_std))
        approximate = _preconditioner(*frozen)

        def apply(y: Array) -> tuple[Array, Array]:
            return jax.lax.custom_linear_solve(
                lambda z: gram_apply(root, operator, noise_std, z),
                y,
                solve=lambda mv, b: self._iterate(mv, b, approximate),
                symmetric=True,
                has_aux=True,
            )

        return apply

    def log_det(self, root: LinearMap, operator: LinearMap, noise_std: Array) -> None:
        return None

    def _iterate(self, mv: Apply, b: Array, approximate: Apply) -> tuple[Array, Array]:
        """Hestenes and Stiefel's recursion (Golub and Van Loan 2013, algorithm 11.5.1)."""
        rtol = max(self.rtol, 20 * float(jnp.finfo(b.dtype).eps))
        target = rtol**2 * jnp.sum(b**2)

        def going(state: tuple) -> Array:
            _, r, _, _, step = state
            return (jnp.sum(r**2) > target) & (step < self.max_steps)

        def advance(state: tuple) -> tuple:
            x, r, p, rz, step = state
            q = mv(p)
            alpha = rz / jnp.sum(p * q)
            x, r = x + alpha * p, r - alpha * q
            z = approximate(r)
            new = jnp.sum(r * z)
            return x, r, z + new / rz * p, new, step + 1

        z = approximate(b)
        start = (jnp.zeros_like(b), b, z, jnp.sum(b * z), jnp.zeros((), jnp.int32))
        x, *_, steps = jax.lax.while_loop(going, advance, start)
        return x, steps


def _preconditioner(root: LinearMap, operator: LinearMap, noise_std: Array) -> Apply:
    parts = _differences(operator)
    if parts is None:
        return lambda r: r
    variance = root.gram_diagonal()
    if isinstance(operator, Sum):
        variances = split_fields(variance, tuple(p.in_shape for p in parts))
    else:
        variances = [variance]
    return preconditioner(parts, variances, noise_std**2)


def _differences(operator: LinearMap) -> tuple[Difference, ...] | None:
    parts = operator.parts if isinstance(operator, Sum) else (operator,)
    return parts if all(isinstance(p, Difference) for p in parts) else None  # type: ignore


def structured_solver(root: LinearMap, operator: LinearMap, eps: float) -> Solver | None:
    """The solver that fits a law's structure; None: few dense rows, `physcon.conditioning.gain`."""
    if _differences(operator) is None:
        return None
    if isinstance(operator, Difference) and isinstance(root, Diagonal) and not operator.periodic:
        return Tridiagonal()
    return ConjugateGradient(rtol=max(eps / 10, 1e-13))


class Solution(NamedTuple):
    """Posterior mean, multipliers λ = S⁻¹ (b - G μ), |S λ - b + G μ| / |b - G μ|, steps taken."""

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
    largest = jnp.max(jnp.abs(missing))
    unmet = jnp.max(jnp.abs(left)) / jnp.where(largest == 0, 1, largest)
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
        tangent = Solution(d_mean, d_multiplier, jnp.zeros_like(solution.unmet), no_steps)  # type: ignore[arg-type]
    return solution, tangent


class Innovation(LinearMap):
    """Root of a posterior by Matheron's rule: draw, then distribute what the draw misses.

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
        multiplier, _ = self._inverse()(self.operator.mv(self.root.mv(self.root.rmv(y))))
        if self.noise_std is None:
            return self.root.rmv(y - self.operator.rmv(multiplier))
        return jnp.pad(self.root.rmv(y).reshape(-1), (0, multiplier.size)) - self._pair().rmv(
            multiplier
        )

    def gram_diagonal(self) -> Array:
        """In closed form for `Tridiagonal`; else n solves, for small fields: use samples."""
        variance = self.solver.variance(self.root, self.operator, self._noise())
        if variance is None:
            return super().gram_diagonal()
        return variance + jax.lax.stop_gradient(jnp.maximum(-variance, 0))
