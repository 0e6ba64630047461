"""Waves between two walls that reflect them: u_tt = c² u_xx with Neumann conditions."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, ArrayLike, Float, PRNGKeyArray, Scalar
from physcon.boundary import Boundary, Neumann


class StandingWaves(eqx.Module):
    """u = Σ_n a_n cos(n π x) cos(c n π t) on [0, 1]: at rest at t = 0, u_x = 0 at both ends.

    Shapes: coefficients ``(m,)`` of n = 1 .. m; speed is a scalar.

    Source: separation of variables; the mean of u is zero for all times.
    """

    coefficients: Float[Array, " m"]
    speed: Scalar

    domain = (0.0, 1.0)

    @classmethod
    def sample(cls, key: PRNGKeyArray, speed: ArrayLike = 1.0, modes: int = 6):
        """a_n ~ N(0, n⁻²) (the article gives no distribution)."""
        draws = jax.random.normal(key, (modes,)) / jnp.arange(1, modes + 1)
        return cls(draws, jnp.asarray(speed, draws.dtype))

    def initial(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """Σ a_n cos(n π x)."""
        return self.solution(jnp.zeros((), x.dtype), x)

    def solution(self, t: Scalar, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """u(t, x) at one time."""
        n = jnp.pi * jnp.arange(1, self.coefficients.shape[0] + 1)
        return jnp.cos(x[:, None] * n[None, :]) @ (self.coefficients * jnp.cos(self.speed * n * t))

    def boundary(self, t: Float[Array, "*t"]) -> Boundary:
        """Both walls reflect at all times."""
        return Boundary(Neumann(jnp.zeros_like(t)))
