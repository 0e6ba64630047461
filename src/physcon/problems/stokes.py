"""Stokes' second problem: the fluid above an oscillating wall."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, ArrayLike, Float, PRNGKeyArray, Scalar
from physcon.boundary import Boundary, Dirichlet


class StokesSecond(eqx.Module):
    """u_t = ν u_xx, u(t, 0) = U cos(ω t), in its periodic state.

    The solution is U exp(-κ x) cos(κ x - ω t) with κ = √(ω / (2 ν)). Both ends of [0,
    1] carry the exact value.

    Shapes:
        All attributes are scalars.

    Source:
        Stokes (1851); Landau and Lifshitz, Fluid Mechanics (1987), sec. 24, eq. 24.5.
    """

    omega: Scalar
    amplitude: Scalar
    viscosity: Scalar

    domain = (0.0, 1.0)

    @classmethod
    def sample(cls, key: PRNGKeyArray, viscosity: ArrayLike = 0.1):
        """Draw ω in [3, 4] and U in [1, 2] uniformly (not given in the article)."""
        omega, amplitude = jax.random.uniform(key, (2,), float) + jnp.array([3.0, 1.0])
        return cls(omega, amplitude, jnp.asarray(viscosity, omega.dtype))

    def initial(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """The periodic state at t = 0."""
        return self.solution(jnp.zeros((), x.dtype), x)

    def solution(self, t: Scalar, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """u(t, x) at one time."""
        phase = jnp.sqrt(self.omega / (2 * self.viscosity)) * x
        return self.amplitude * jnp.exp(-phase) * jnp.cos(phase - self.omega * t)

    def boundary(self, t: Float[Array, "*t"]) -> Boundary:
        """The conditions at a time, or at several along a trailing time axis."""
        ends = jax.vmap(lambda t: self.solution(t, jnp.asarray(self.domain, t.dtype)))
        values = ends(jnp.reshape(t, (-1,))).reshape(*t.shape, 2)
        return Boundary((Dirichlet(values[..., 0]), Dirichlet(values[..., 1])))
