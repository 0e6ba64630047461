"""The tangent plane of a surface g(z) = 0, and Newton's equations within it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics import krylov, safe
from physcon._numerics.products import combine, inner
from physcon._numerics.small import lower_inverse
from physcon._typing import Array, Float


class Frame(NamedTuple):
    """The tangent plane of the surface at z, and the curvature along it.

    The gradients of g are W = D L Q with a scale D, a lower triangle L and orthonormal
    rows Q. A gradient that others imply has a row of zeros in Q, and no multiplier.
    """

    rows: Float[Array, "m *z"]  # W
    scale: Float[Array, " m"]  # D, powers of two
    basis: Float[Array, "m *z"]  # Q
    whitener: Float[Array, "m m"]  # L⁻¹
    hessian: Callable[[Array], Array]  # x -> Σ λ_r ∇²g_r x
    multiplier: Float[Array, " m"]

    def normal(self, f: Array) -> Array:
        """The shortest x with W x = f."""
        white = jnp.matmul(self.whitener, f / self.scale, precision="highest")
        return combine(white, self.basis)

    def tangential(self, x: Array) -> Array:
        """Project x onto the plane W x = 0; twice, against cancellation."""
        for _ in range(2):
            x = x - combine(inner(self.basis, x), self.basis)
        return x


def frame_at(g: Callable[[Array], Array], z: Array, pull: Array, least: float) -> Frame:
    """The frame of g at z, with the least-squares multipliers of `pull` = Wᵀ λ.

    Args:
        least: a gradient of which only this share is new is implied by the others; see
            `rounding_of`.
    """
    rows = jax.jacrev(g)(z)
    axes = tuple(range(1, rows.ndim))
    scale = safe.power_of_two(jnp.max(jnp.abs(rows), axis=axes))
    basis, factor = _orthonormal(rows / scale.reshape(-1, *[1] * len(axes)), least)
    whitener = lower_inverse(factor)
    white = inner(basis, pull)
    multiplier = jnp.matmul(whitener.T, white, precision="highest") / scale

    def hessian(x: Array) -> Array:
        return jax.jvp(jax.grad(lambda z: jnp.sum(multiplier * g(z))), (z,), (x,))[1]

    return Frame(rows, scale, basis, whitener, hessian, multiplier)


def rounding_of(dtype: Any) -> float:
    """The share of a gradient that is rounding in the caller's dtype."""
    eps = float(jnp.finfo(dtype).eps)
    return (2 if eps > 1e-10 else 32) * eps


def irregular(z: Array) -> Array:
    """A direction in the space of z without symmetries, of numbers up to 1."""
    return jnp.sin(jnp.arange(1, z.size + 1, dtype=z.dtype) ** 2).reshape(z.shape)


def _orthonormal(
    rows: Float[Array, "m *z"], least: float
) -> tuple[Float[Array, "m *z"], Float[Array, "m m"]]:
    """Q and L with rows = L Q, by Gram-Schmidt with each projection done twice.

    A row that the rows before it imply has zeros in Q and a one on the diagonal of L.
    A Gram matrix would square the condition of nearly dependent rows.
    """
    m = rows.shape[0]
    eye = jnp.eye(m, dtype=rows.dtype)

    def absorb(basis: Array, given: tuple[Array, Array]) -> tuple[Array, Array]:
        row, place = given
        size = safe.sqrt(jnp.sum(row**2))
        rest = row / jnp.where(size > 0, size, 1)
        along = jnp.zeros_like(place)
        for _ in range(2):
            step = inner(basis, rest)
            rest = rest - combine(step, basis)
            along = along + step
        length = safe.sqrt(jnp.sum(rest**2))
        kept = length > least
        unit = jnp.where(kept, rest / jnp.where(kept, length, 1), 0)
        diagonal = jnp.where(kept, size * length, 1)
        basis = basis + place.reshape(-1, *[1] * unit.ndim) * unit[None]
        return basis, size * along + diagonal * place

    return jax.lax.scan(absorb, jnp.zeros_like(rows), (rows, eye))


def conjugate_gradients(
    apply: Callable[[Array], Array], force: Array, steps: int
) -> Array:
    """Solve apply(x) = force, or descend if the curvature is negative."""
    rtol = 10 * float(jnp.finfo(force.dtype).eps)
    return krylov.conjugate_gradients(apply, force, rtol=rtol, max_steps=steps).last
