"""Lid-driven cavity: ω_t + u·∇ω = ν Δω, -Δψ = ω, u = (ψ_y, -ψ_x), with no slip.

Vorticity and stream function live at the nodes of an n × n grid. The solver uses
central differences, Thom's formula for the wall vorticity, an exact solve of the
Poisson equation in its eigenvectors (sines), and a four-stage Runge-Kutta method. It is
second order in space. ψ = 0 on the walls, and only the lid, at y = 1, moves.

Source:
    E and Liu, J. Comput. Phys. 124 (1996) 368, sec. 2: Thom's formula with explicit
    Runge-Kutta steps.
"""

from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._extremes import largest_of
from physcon._typing import Array, ArrayLike, Float, PRNGKeyArray, Scalar
from physcon.boundary import Boundary, Dirichlet

_SWIRLS = 3


class LidDrivenCavity(eqx.Module):
    """Flow in the unit square below a lid with velocity U 16 x² (1 - x)².

    The Reynolds number is 1 / ν for U = 1. The initial state is ψ = U 16 x² (1 - x)²
    (y³ - y²) + Σ a_pq φ_p(x) φ_q(y), with φ_p = sin(πx) sin(pπx), which moves with the
    walls. Nothing is singular, neither at the start nor in the corners, and the initial
    vorticity contains the motion of the lid.

    Shapes:
        The lid speed and the viscosity are scalars; swirls are ``(p, q)``.
    """

    lid: Scalar
    swirls: Float[Array, "p q"]
    viscosity: Scalar

    @classmethod
    def sample(cls, key: PRNGKeyArray, viscosity: ArrayLike = 0.01):
        """Draw a flow with U uniform in [0.5, 1.5] and a_pq ~ 0.2 N(0, (p² + q²)⁻²).

        The article specifies neither distribution.
        """
        lid_key, key = jax.random.split(key)
        swirls = swirl_std() * jax.random.normal(key, (_SWIRLS, _SWIRLS))
        lid = jax.random.uniform(lid_key, (), float, 0.5, 1.5)
        return cls(lid, swirls, jnp.asarray(viscosity, lid.dtype))

    def lid_velocity(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """The velocity U 16 x² (1 - x)²."""
        return self.lid * 16 * (x * (1 - x)) ** 2

    def stream(
        self, x: Float[Array, " n"], y: Float[Array, " m"]
    ) -> Float[Array, "n m"]:
        """The stream function ψ at t = 0."""
        p = jnp.pi * jnp.arange(1, _SWIRLS + 1, dtype=x.dtype)
        in_x, in_y = (
            jnp.sin(jnp.pi * z)[None] * jnp.sin(p[:, None] * z[None]) for z in (x, y)
        )
        swirls = jnp.einsum(
            "pi,pq,qj->ij", in_x, self.swirls, in_y, precision="highest"
        )
        return self.lid_velocity(x)[:, None] * (y**3 - y**2)[None] + swirls

    def states(
        self, t: Scalar, number: int, nodes: int, refine: int = 2
    ) -> Float[Array, "k n n"]:
        """Vorticity at 0 and at `number` equal steps up to t, on ``(nodes, nodes)``.

        Args:
            refine: number of intervals of the solver's grid per interval of the result.
        """
        fine = jnp.linspace(0.0, 1.0, refine * (nodes - 1) + 1)
        lid = self.lid_velocity(fine)
        start = vorticity(self.stream(fine, fine), lid)[1:-1, 1:-1]
        found = cavity_flow(start, lid, self.viscosity, t / number, number)
        return found[:, ::refine, ::refine]

    def boundary(self, vorticity: Float[Array, "n n *t"]) -> Boundary:
        """The vorticity on the walls, cut from a field in (x, y) or (x, y, t)."""
        w = vorticity[None]
        x = Dirichlet(w[:, 0]), Dirichlet(w[:, -1])
        y = Dirichlet(w[:, :, 0]), Dirichlet(w[:, :, -1])
        return Boundary(x, y)


def swirl_std() -> Float[Array, "p q"]:
    """Standard deviations 0.2 / (p² + q²) of the swirls of a sample.

    All swirls then change the vorticity by the same amount.
    """
    p = jnp.arange(1.0, _SWIRLS + 1)
    return 0.2 / (p[:, None] ** 2 + p[None, :] ** 2)


def cavity_flow(
    inner: Float[Array, "m m"],
    lid: Float[Array, " n"],
    viscosity: Scalar,
    interval: Scalar,
    number: int,
) -> Float[Array, "k n n"]:
    """Vorticity at times 0, interval, .. number · interval, with n nodes per side.

    h² Σ' ω == -h Σ lid in every state (Σ' is the trapezoid sum). This is the
    circulation around the walls, and it is exact for Thom's formula.

    Shapes:
        inner is the initial vorticity inside, ``(n - 2, n - 2)``. lid is its velocity,
        zero in the corners, ``(n,)``. The result is ``(number + 1, n, n)``.
    """
    h = 1 / (lid.shape[0] - 1)
    speed = jnp.maximum(largest_of(jnp.abs(lid)), _speed(inner, lid))
    limit = jnp.minimum(0.25 * h**2 / viscosity, 0.7 * h / speed)
    steps = jnp.ceil(interval / limit).astype(int)
    dt = interval / steps

    def step(_: Array, w: Array) -> Array:
        a = tendency(w, lid, viscosity)
        b = tendency(w + 0.5 * dt * a, lid, viscosity)
        c = tendency(w + 0.5 * dt * b, lid, viscosity)
        d = tendency(w + dt * c, lid, viscosity)
        return w + dt / 6 * (a + 2 * b + 2 * c + d)

    def walled(w: Array) -> Array:
        return vorticity(stream_function(w), lid)

    def advance(w: Array, _: None) -> tuple[Array, Array]:
        w = jax.lax.fori_loop(0, steps, step, w)
        return w, walled(w)

    _, later = jax.lax.scan(advance, inner, None, length=number)
    return jnp.concatenate([walled(inner)[None], later])


def tendency(
    inner: Float[Array, "m m"], lid: Float[Array, " n"], viscosity: Scalar
) -> Float[Array, "m m"]:
    """ω_t = ν Δω - u·∇ω at the inner nodes."""
    h = 1 / (lid.shape[0] - 1)
    psi = stream_function(inner)
    w = vorticity(psi, lid)
    psi_x, psi_y = _gradient(psi, h)
    w_x, w_y = _gradient(w, h)
    return viscosity * _laplacian(w, h) - (psi_y * w_x - psi_x * w_y)


def stream_function(inner: Float[Array, "m m"]) -> Float[Array, "n n"]:
    """ψ with -Δ_h ψ = ω inside and ψ = 0 on the walls."""
    sines, eigenvalues = _sines(inner.shape[0])
    s = jnp.asarray(sines, inner.dtype)
    modes = jnp.einsum("ij,jk,kl->il", s, inner, s, precision="highest")
    modes = modes / jnp.asarray(
        eigenvalues[:, None] + eigenvalues[None, :], inner.dtype
    )
    return jnp.pad(jnp.einsum("ij,jk,kl->il", s, modes, s, precision="highest"), 1)


def vorticity(psi: Float[Array, "n n"], lid: Float[Array, " n"]) -> Float[Array, "n n"]:
    """-Δ_h ψ inside, Thom's formula on the walls, and 0 in the corners.

    Thom's formula on a wall that moves with u is -2 (ψ_1 ± h u) / h².
    """
    h = 1 / (psi.shape[0] - 1)
    w = jnp.pad(-_laplacian(psi, h), 1)
    near = -2 / h**2 * psi
    moved = -2 / h * lid[1:-1]
    w = w.at[0, 1:-1].set(near[1, 1:-1]).at[-1, 1:-1].set(near[-2, 1:-1])
    return w.at[1:-1, 0].set(near[1:-1, 1]).at[1:-1, -1].set(near[1:-1, -2] + moved)


def velocity(
    psi: Float[Array, "n n"], lid: Float[Array, " n"]
) -> Float[Array, "2 n n"]:
    """(ψ_y, -ψ_x) inside, and the velocity of the walls on the walls."""
    psi_x, psi_y = _gradient(psi, 1 / (psi.shape[0] - 1))
    u = jnp.pad(jnp.stack([psi_y, -psi_x]), ((0, 0), (1, 1), (1, 1)))
    return u.at[0, :, -1].set(lid)


def _speed(inner: Array, lid: Array) -> Scalar:
    return largest_of(jnp.sum(jnp.abs(velocity(stream_function(inner), lid)), 0))


def _gradient(f: Array, h: float) -> tuple[Array, Array]:
    along_x = (f[2:, 1:-1] - f[:-2, 1:-1]) / (2 * h)
    return along_x, (f[1:-1, 2:] - f[1:-1, :-2]) / (2 * h)


def _laplacian(f: Array, h: float) -> Array:
    sides = f[2:, 1:-1] + f[:-2, 1:-1] + f[1:-1, 2:] + f[1:-1, :-2]
    return (sides - 4 * f[1:-1, 1:-1]) / h**2


@lru_cache(maxsize=16)
def _sines(m: int) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal eigenvectors and eigenvalues of -d²/dx² on m inner nodes."""
    k = np.arange(1, m + 1)
    sines = np.sqrt(2 / (m + 1)) * np.sin(np.pi * np.outer(k, k) / (m + 1))
    return sines, (2 - 2 * np.cos(np.pi * k / (m + 1))) * (m + 1) ** 2
