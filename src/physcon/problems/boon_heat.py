"""A rod insulated on the left and heated on the right: u_t = k u_xx."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, ArrayLike, Float, PRNGKeyArray, Scalar
from physcon.boundary import Boundary, Neumann

_TERMS = 128


class HeatedRod(eqx.Module):
    """u_t = k u_xx on [0, 1] with u_x(t, 0) = 0 and u_x(t, 1) = U sin(π t).

    The initial state is u(0, x) = cos(w π x). With g = U sin(π t) and P = x⁴/24 -
    x²/12, the remainder z = u - g x²/2 - (g'/k) P obeys homogeneous conditions and z_t
    = k z_xx + (k g - g'/6) - (g''/k) P. Its cosine coefficients are known in closed
    form, with λ_n = k n² π². They decay as n⁻⁶; the coefficients of the initial state
    decay as n⁻² exp(-λ_n t). The series is accurate for k t > 1e-4, but not at t = 0.

    Shapes:
        All attributes are scalars.

    Source:
        The example of Saad et al., ICLR 2023 (k = 0.01, U = 5, w in [2.01, 3.99]); the
        solution is derived here.
    """

    w: Scalar
    k: Scalar
    amplitude: Scalar

    domain = (0.0, 1.0)

    @classmethod
    def sample(cls, key: PRNGKeyArray, k: ArrayLike = 0.01, amplitude: ArrayLike = 5.0):
        """Draw a rod with w uniform in [2.01, 3.99]."""
        w = jax.random.uniform(key, (), float, 2.01, 3.99)
        return cls(w, jnp.asarray(k, w.dtype), jnp.asarray(amplitude, w.dtype))

    def initial(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """cos(w π x)."""
        return jnp.cos(self.w * jnp.pi * x)

    def solution(self, t: Scalar, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """u(t, x) at one time."""
        n = jnp.arange(_TERMS, dtype=x.dtype)
        rate = self.k * (n * jnp.pi) ** 2
        u = self.amplitude
        k = self.k
        cosine = jnp.cos(jnp.pi * t)
        sine = jnp.sin(jnp.pi * t)
        decay = jnp.exp(-rate * t)
        start = 0.5 * (
            jnp.sinc(self.w - n) + jnp.sinc(self.w + n)
        )  # ∫ cos(w π x) cos(n π x)
        sign = jnp.asarray((-1.0) ** np.arange(_TERMS), x.dtype)
        quartic = jnp.where(n == 0, -7 / 360, -sign / (jnp.maximum(n, 1) * jnp.pi) ** 4)
        # ∫ exp(-λ (t - s)) g''(s) ds
        memory = rate * sine - jnp.pi * cosine + jnp.pi * decay
        memory = -u * jnp.pi**2 * memory / (rate**2 + jnp.pi**2)
        z = (start - u * jnp.pi / k * quartic) * decay - quartic / k * memory
        z = z.at[0].add(k * u * (1 - cosine) / jnp.pi - u * sine / 6)
        z = z.at[1:].multiply(2.0)
        waves = jnp.cos(jnp.pi * x[:, None] * n[None, :])
        series = jnp.matmul(waves, z, precision="highest")
        lifted = 0.5 * u * sine * x**2 + u * jnp.pi * cosine / k * (
            x**4 / 24 - x**2 / 12
        )
        return series + lifted

    def boundary(self, t: Float[Array, "*t"]) -> Boundary:
        """The conditions at a time, or at several along a trailing time axis."""
        flux = self.amplitude * jnp.sin(jnp.pi * t)
        return Boundary((Neumann(jnp.zeros_like(flux)), Neumann(flux)))
