"""Diffusive fluxes through the faces of a mesh, with a non-orthogonal correction.

With d from the owner's centroid to the neighbour's and n the face's normal,

    ∂Φ/∂n = (Φ_N - Φ_O)/(d · n) + T · ∇Φ,      T = n - d/(d · n),

is exact for linear Φ on any mesh: the first term couples two cells as on a grid, and
the second corrects for faces that the line d doesn't cross at a right angle.

Source: Jasak, PhD thesis, Imperial College (1996), sec. 3.3 (over-relaxed approach).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from physcon._extremes import largest_of
from physcon._numerics import safe
from physcon._typing import Array, Float
from physcon.boundary import Dirichlet, Flux, Neumann, Outflow, Reflective, Robin
from physcon.fv.unstructured.patches import on_patch
from physcon.fv.unstructured.stencil import added


class Pairs(NamedTuple):
    """Values on both sides of every face, and the line between them.

    Attributes:
        left: the owner's value, ``(c, f)``.
        right: the neighbour's, or the value at a boundary face.
        distance: d · n, ``(f)``.
        skew: T, ``(f, d)``.
        closed: 0 at boundary faces through which nothing diffuses, else 1, ``(f)``.
    """

    left: Float[Array, "c f"]
    right: Float[Array, "c f"]
    distance: Float[Array, " f"]
    skew: Float[Array, "f d"]
    closed: Float[Array, " f"]


def pairs(problem: Any, u: Float[Array, "c n"]) -> Pairs:
    """The values that each face lies between; boundary values lie on the face."""
    mesh = problem.grid
    inside = mesh.neighbour >= 0
    line = jnp.where(inside[:, None], mesh.to_owner - mesh.to_neighbour, mesh.to_owner)
    distance = jnp.sum(line * mesh.normal, axis=1)
    skew = mesh.normal - line / distance[:, None]
    left = u[:, mesh.owner]
    right = u[:, problem.tables.far]
    closed = inside.astype(u.dtype)
    boundary = problem.boundary
    for condition, faces in zip(boundary.conditions, boundary.faces, strict=True):
        if isinstance(condition, Outflow | Reflective):
            continue
        inner = left[:, faces]
        value = _value(condition, problem.law, inner, distance[faces][None])
        right = right.at[:, faces].set(jnp.broadcast_to(value, inner.shape))
        closed = closed.at[faces].set(1)
        if not isinstance(condition, Dirichlet):  # the slope is known along n itself
            skew = skew.at[faces].set(0)
    return Pairs(left, right, distance, skew, closed)


def _value(condition: Any, law: Any, inner: Array, gap: Array) -> Array:
    """The value at the face; slopes are along the outward normal."""
    channels, count = inner.shape
    if isinstance(condition, Dirichlet):
        return on_patch(condition.value, channels, count)
    if isinstance(condition, Neumann):
        return inner + on_patch(condition.derivative, channels, count) * gap
    if isinstance(condition, Flux):
        if law.hyperbolic is not None:  # the flux of waves and diffusion together
            return inner
        flux = on_patch(condition.flux, channels, count)
        return inner - safe.divide(flux * gap, law.diffusion.coefficient(inner))
    a = on_patch(condition.a, channels, count)
    b = on_patch(condition.b, channels, count) / gap
    value = on_patch(condition.value, channels, count)
    return (value + b * inner) / (a + b)


def diffusive_flux(problem: Any, u: Float[Array, "c n"]) -> Float[Array, "c f"] | None:
    """-k ∂u/∂n through every face; none through Outflow and Reflective patches.

    None without a diffusion.
    """
    law = problem.law.diffusion
    if law is None:
        return None
    between = pairs(problem, u)
    direct = law.face_gradient_flux(between.left, between.right)
    flux = direct / between.distance[None] - _correction(problem, u, between)
    for condition, faces in zip(
        problem.boundary.conditions, problem.boundary.faces, strict=True
    ):
        if isinstance(condition, Neumann | Robin):
            # A mean of k over the half cell would be first order in its size.
            slope = between.right[:, faces] - between.left[:, faces]
            k = law.coefficient(between.right[:, faces])
            own = -k * slope / between.distance[faces][None]
            flux = flux.at[:, faces].set(own)
    return flux * between.closed[None]


def _correction(problem: Any, u: Array, between: Pairs) -> Array:
    """T · ∇Φ with the mean gradient of both sides, where Φ is the law's potential."""
    law, mesh, s = problem.law.diffusion, problem.grid, problem.tables
    potential = law.potential(u)
    edge = law.potential(between.right)
    near = []
    for k, cell in enumerate(s.cell):
        boundary = mesh.neighbour[s.face[k]] < 0
        own = jnp.where(boundary[None], edge[:, s.face[k]], potential[:, cell])
        near.append(own - potential)
    weights = s.filled_weights
    gradient = [
        sum(weights[k, d][None] * change for k, change in enumerate(near))
        for d in range(weights.shape[1])
    ]
    parts = [
        0.5 * skew[None] * (g[:, mesh.owner] + g[:, s.far])  # type: ignore[index]
        for skew, g in zip(between.skew.T, gradient, strict=True)
    ]
    return added(parts)


def diffusive_rate(problem: Any, u: Float[Array, "c n"]) -> Float[Array, " n"]:
    """Per cell the sum of k |face| / (distance volume): steps below 1 are monotone."""
    law, mesh, s = problem.law.diffusion, problem.grid, problem.tables
    between = pairs(problem, u)
    k_left = largest_of(law.coefficient(between.left), axis=0)
    k_right = largest_of(law.coefficient(between.right), axis=0)
    through = jnp.maximum(k_left, k_right) * mesh.area / between.distance
    return s.sum_over_faces(through * between.closed) / mesh.volume
