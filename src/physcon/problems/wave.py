"""Waves between reflecting walls: u_tt = c² Δu with Neumann conditions."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, ArrayLike, Float, PRNGKeyArray, Scalar
from physcon.boundary import Boundary, Neumann


class StandingWaves(eqx.Module):
    """u = Σ_n a_n cos(c |n| π t) Π_d cos(n_d π x_d) on the unit interval or square.

    The field is at rest at t = 0 and has no slope across any wall; n_d = 0 .. m-1 on
    each axis.

    Shapes:
        Coefficients are ``(m,)`` or ``(m, m)``; the speed is a scalar.

    Source:
        Separation of variables; the mean of u is a_0 at all times.
    """

    coefficients: Float[Array, "*m"]
    speed: Scalar

    @classmethod
    def sample(
        cls, key: PRNGKeyArray, speed: ArrayLike = 1.0, modes: int = 6, axes: int = 1
    ):
        """Draw a_n ~ N(0, |n|^(-2 axes)) for 1 <= n_d <= modes, with mean zero."""
        n = jnp.arange(1, modes + 1, dtype=float)
        squares = sum(jnp.meshgrid(*[n**2] * axes, indexing="ij"))
        draws = jax.random.normal(key, (modes,) * axes) * squares ** (-axes / 2)
        draws = jnp.pad(draws, (1, 0))
        return cls(draws, jnp.asarray(speed, draws.dtype))

    def initial(self, *x: Float[Array, " _"]) -> Float[Array, "*x"]:
        """Σ a_n Π cos(n_d π x_d)."""
        return self.solution(jnp.zeros((), x[0].dtype), *x)

    def solution(self, t: Scalar, *x: Float[Array, " _"]) -> Float[Array, "*x"]:
        """u(t, x) at one time on the tensor product of the given positions."""
        n = jnp.pi * jnp.arange(self.coefficients.shape[0], dtype=x[0].dtype)
        squares = sum(jnp.meshgrid(*[n**2] * len(x), indexing="ij"))
        u = self.coefficients * jnp.cos(self.speed * jnp.sqrt(squares) * t)
        for points in x:  # each product turns the first axis into the last one
            waves = jnp.cos(n[:, None] * points[None, :])
            u = jnp.tensordot(u, waves, axes=(0, 0), precision="highest")
        return u

    def boundary(self, t: Float[Array, "*t"]) -> Boundary:
        """All walls reflect at all times."""
        wall = Neumann(jnp.zeros_like(t))
        return Boundary(*[wall] * self.coefficients.ndim)
