"""How the inverse of a large Gram matrix is applied, S⁻¹ y, without the matrix.

Two sweeps for a law that couples cells along one axis only (`Tridiagonal`), else
preconditioned conjugate gradients (`ConjugateGradient`).
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._numerics import tridiagonal
from physcon._typing import Array, Float, Int, Scalar
from physcon.conditioning.laplacian import preconditioner
from physcon.linear_map import (
    Diagonal,
    Difference,
    LinearMap,
    Sum,
    split_fields,
)
from physcon.linear_map.divided import DividedDifference

Apply = Callable[[Float[Array, "*y"]], Float[Array, "*y"]]
#: y -> S⁻¹ y, and the number of steps it took.
Inverse = Callable[[Float[Array, "*y"]], tuple[Float[Array, "*y"], Int[Array, ""]]]


def gram_apply(
    root: LinearMap,
    operator: LinearMap,
    noise_std: Float[Array, "*y"],
    y: Float[Array, "*y"],
) -> Float[Array, "*y"]:
    """S y = G Σ Gᵀ y + N y."""
    return operator.mv(root.mv(root.rmv(operator.rmv(y)))) + noise_std**2 * y


class Solver(eqx.Module):
    """How S⁻¹ is applied; holds static settings only."""

    #: Aim for |S λ - r| / |r|. Ten times as much, but at least 1e-5, counts as not
    #: solved.
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

    def largest(self, y: Float[Array, "*y"]) -> Scalar:
        """max |y|."""
        return jnp.max(jnp.abs(y))

    def variance(
        self, root: LinearMap, operator: LinearMap, noise_std: Float[Array, "*y"]
    ) -> Float[Array, "*x"] | None:
        """diag(Σ - Σ Gᵀ S⁻¹ G Σ), or None where it has no cheap value."""
        return None


class Tridiagonal(Solver):
    """Exact, O(n): one `Difference` and independent errors; cells couple along its axis
    only.
    """

    rtol: float = eqx.field(static=True, default=1e-8)

    def _factor(
        self, root: Diagonal, operator: Difference, noise_std: Array
    ) -> tridiagonal.Factor:
        w = jnp.moveaxis((operator.area * root.diagonal) ** 2, operator.axis, 0)
        diagonal = (
            operator.both_sides((operator.area * root.diagonal) ** 2) + noise_std**2
        )
        diagonal = jnp.moveaxis(diagonal, operator.axis, 0)
        first = int(operator.ends[0])
        return tridiagonal.factorise(
            diagonal, -w[first : first + diagonal.shape[0] - 1]
        )

    def inverse(
        self, root: LinearMap, operator: LinearMap, noise_std: Array
    ) -> Inverse:
        root, operator = _separable(root, operator)
        factor, axis = self._factor(root, operator, noise_std), operator.axis

        def apply(y: Array) -> tuple[Array, Array]:
            x = tridiagonal.solve(factor, jnp.moveaxis(y, axis, 0))
            return jnp.moveaxis(x, 0, axis), jnp.zeros((), jnp.int32)

        return apply

    def log_det(self, root: LinearMap, operator: LinearMap, noise_std: Array) -> Scalar:
        root, operator = _separable(root, operator)
        return jnp.sum(jnp.log(self._factor(root, operator, noise_std).pivots))

    def variance(self, root: LinearMap, operator: LinearMap, noise_std: Array) -> Array:
        # Face i bounds cells i-1, i; Z = S⁻¹: (Gᵀ Z G)_ii = area² (Z_i-1,i-1 - 2
        # Z_i-1,i + Z_ii)
        root, operator = _separable(root, operator)
        diagonal, off = tridiagonal.inverse_band(
            self._factor(root, operator, noise_std)
        )
        low, high = (int(end) for end in operator.ends)
        inner = diagonal[:-1] + diagonal[1:] - 2 * off
        seen = jnp.concatenate(
            [diagonal[:low], inner, diagonal[diagonal.shape[0] - high :]]
        )
        variance = root.diagonal**2
        explained = (
            variance**2 * operator.area**2 * jnp.moveaxis(seen, 0, operator.axis)
        )
        return variance - explained


def _separable(root: LinearMap, operator: LinearMap) -> tuple[Diagonal, Difference]:
    if (
        not (isinstance(root, Diagonal) and isinstance(operator, Difference))
        or operator.periodic
    ):
        raise ValueError(
            "expected independent errors (Diagonal) and one Difference for Tridiagonal, got "
            f"{type(root).__name__} and {type(operator).__name__}; use ConjugateGradient"
        )
    return root, operator


class ConjugateGradient(Solver):
    """Preconditioned conjugate gradients, to |r| <= rtol |r_0|.

    For laws made of `Difference` parts the preconditioner is a fast Laplacian solve
    (`physcon.conditioning.laplacian`): the number of steps doesn't depend on n, only on
    how far the variances are from a product of profiles, and on their correlation.
    Other laws: plain steps.

    Attributes:
        rtol: tolerance; at least a few roundings of the arithmetic that runs.
        max_steps: after these `Conditioned.status` tells.
        mesh_axes: along which cells are divided among devices, inside `jax.shard_map`. Each device
            then preconditions its own block, without messages: the number of steps grows with the
            number of blocks side by side (Smith, Bjørstad and Gropp, Domain Decomposition, 1996,
            sec. 2.6).
    """

    rtol: float = eqx.field(static=True, default=1e-8)
    max_steps: int = eqx.field(static=True, default=500)
    mesh_axes: tuple[str, ...] = eqx.field(static=True, default=())

    def inverse(
        self, root: LinearMap, operator: LinearMap, noise_std: Array
    ) -> Inverse:
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

        def going(state: tuple) -> Array:
            *_, left, step = state
            return (left > target) & (step < self.max_steps)

        def advance(state: tuple) -> tuple:
            x, r, p, rz, _, step = state
            q = mv(p)
            (pq,) = self._dots(p, q)
            alpha = rz / pq
            x, r = x + alpha * p, r - alpha * q
            z = approximate(r)
            new, left = self._dots(r, z, r)
            return x, r, z + new / rz * p, new, left, step + 1

        z = approximate(b)
        rz, size = self._dots(b, z, b)
        target = rtol**2 * size
        start = (jnp.zeros_like(b), b, z, rz, size, jnp.zeros((), jnp.int32))
        x, *_, steps = jax.lax.while_loop(going, advance, start)
        return x, steps

    def largest(self, y: Float[Array, "*y"]) -> Scalar:
        own = super().largest(y)
        return jax.lax.pmax(own, self.mesh_axes) if self.mesh_axes else own

    def _dots(self, x: Array, *others: Array) -> tuple[Array, ...]:
        """x · y for each of the others; one message for all of them."""
        own = tuple(jnp.sum(x * y) for y in others)
        return jax.lax.psum(own, self.mesh_axes) if self.mesh_axes else own


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
    # Of a divided law each device sees its own block.
    parts = [
        Difference(p.area, p.axis) if isinstance(p, DividedDifference) else p
        for p in parts
    ]
    return tuple(parts) if all(isinstance(p, Difference) for p in parts) else None  # type: ignore


def structured_solver(
    root: LinearMap, operator: LinearMap, eps: float
) -> Solver | None:
    """The solver that fits a law's structure; None: few dense rows,
    `physcon.conditioning.gain`.
    """
    if _differences(operator) is None:
        return None
    if (
        isinstance(operator, Difference)
        and isinstance(root, Diagonal)
        and not operator.periodic
    ):
        return Tridiagonal()
    return ConjugateGradient(rtol=max(eps / 10, 1e-13))
