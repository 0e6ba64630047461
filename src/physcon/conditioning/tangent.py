"""The tangent plane of a surface g(z) = 0, and Newton's equations within it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics.products import combine, gram, inner
from physcon._numerics.small import cholesky, lower_inverse
from physcon._typing import Array, Float


class Frame(NamedTuple):
    """The tangent plane of the surface at z, and curvature along it."""

    rows: Float[Array, "m *z"]  # W
    whitener: Float[Array, "m m"]  # L⁻¹, W Wᵀ = L Lᵀ
    hessian: Callable[[Array], Array]  # x -> Σ λ_r ∇²g_r x
    multiplier: Float[Array, " m"]

    def normal(self, f: Array) -> Array:
        """Shortest x with W x = f."""
        return combine(_gram_solve(self.whitener, f), self.rows)

    def tangential(self, x: Array) -> Array:
        """Projection onto the plane W x = 0; twice, against cancellation."""
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
    """x with apply(x) = force, symmetric; stops at negative curvature, with a downhill
    x.
    """
    enough = (10 * jnp.finfo(force.dtype).eps) ** 2 * jnp.sum(force**2)

    def body(s: tuple) -> tuple:
        x, r, p, rr, count, _ = s
        ap = apply(p)
        bend = jnp.sum(p * ap)
        convex = bend > 0
        alpha = jnp.where(
            convex, rr / jnp.where(convex, bend, 1), jnp.where(count == 0, 1, 0)
        )
        r = r - alpha * ap
        following = jnp.sum(r**2)
        done = ~convex | (following <= enough)
        return x + alpha * p, r, r + following / rr * p, following, count + 1, done

    rr = jnp.sum(force**2)
    start = (jnp.zeros_like(force), force, force, rr, jnp.int32(0), rr == 0)
    return jax.lax.while_loop(lambda s: ~s[5] & (s[4] < steps), body, start)[0]
