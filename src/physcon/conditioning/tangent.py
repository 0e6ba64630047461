"""The tangent plane of a surface g(z) = 0, and Newton's equations within it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics import krylov
from physcon._numerics.products import combine, gram, inner
from physcon._numerics.small import cholesky, lower_inverse
from physcon._typing import Array, Float


class Frame(NamedTuple):
    """The tangent plane of the surface at z, and the curvature along it."""

    rows: Float[Array, "m *z"]  # W
    whitener: Float[Array, "m m"]  # L⁻¹, W Wᵀ = L Lᵀ
    hessian: Callable[[Array], Array]  # x -> Σ λ_r ∇²g_r x
    multiplier: Float[Array, " m"]

    def normal(self, f: Array) -> Array:
        """The shortest x with W x = f."""
        return combine(_gram_solve(self.whitener, f), self.rows)

    def tangential(self, x: Array) -> Array:
        """Project x onto the plane W x = 0; twice, against cancellation."""
        for _ in range(2):
            x = x - self.normal(inner(self.rows, x))
        return x


def _gram_solve(
    whitener: Float[Array, "m m"], f: Float[Array, " m"]
) -> Float[Array, " m"]:
    """(W Wᵀ)⁻¹ f = L⁻ᵀ L⁻¹ f."""
    white = jnp.matmul(whitener, f, precision="highest")
    return jnp.matmul(whitener.T, white, precision="highest")


def frame_at(g: Callable[[Array], Array], z: Array, pull: Array) -> Frame:
    """The frame of g at z, with the least-squares multipliers of `pull` = Wᵀ λ."""
    rows = jax.jacrev(g)(z)
    whitener = lower_inverse(cholesky(gram(rows)))
    multiplier = _gram_solve(whitener, inner(rows, pull))

    def hessian(x: Array) -> Array:
        return jax.jvp(jax.grad(lambda z: jnp.sum(multiplier * g(z))), (z,), (x,))[1]

    return Frame(rows, whitener, hessian, multiplier)


def conjugate_gradients(
    apply: Callable[[Array], Array], force: Array, steps: int
) -> Array:
    """Solve apply(x) = force, or descend if the curvature is negative."""
    rtol = 10 * float(jnp.finfo(force.dtype).eps)
    return krylov.conjugate_gradients(apply, force, rtol=rtol, max_steps=steps).last
