"""Viscous Burgers equation u_t + u u_x = ν u_xx, by the Cole-Hopf transformation."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, ArrayLike, Float, PRNGKeyArray, Scalar
from physcon.boundary import Boundary, Dirichlet, Periodic


class BurgersRiemann(eqx.Module):
    """The initial states u_L for x < 1/2 and u_R for x > 1/2 on the line.

    The solution is restricted to [0, 1], with the exact values at its ends.

    Shapes:
        All attributes are scalars.

    Source:
        Whitham, Linear and Nonlinear Waves (1974), sec. 4.4, with the logarithms of
        erfc.
    """

    u_left: Scalar
    u_right: Scalar
    viscosity: Scalar

    domain = (0.0, 1.0)

    @classmethod
    def sample(cls, key: PRNGKeyArray, viscosity: ArrayLike = 0.1):
        """Draw u_L in [0.8, 1.2] and u_R in [-0.2, 0.2] uniformly.

        The article does not give these intervals.
        """
        draws = 0.4 * jax.random.uniform(key, (2,), float) + jnp.array([0.8, -0.2])
        return cls(draws[0], draws[1], jnp.asarray(viscosity, draws.dtype))

    def initial(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """The two initial states."""
        return jnp.where(x < 0.5, self.u_left, self.u_right)

    def solution(self, t: Scalar, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """u_R + (u_L - u_R) / (1 + h exp((u_L - u_R) (ξ - c t) / 2ν)) for t > 0.

        Here ξ = x - 1/2, c = (u_L + u_R)/2, and h = erfc(-(ξ - u_R t) / √(4νt)) /
        erfc((ξ - u_L t) / √(4νt)).
        """
        xi = x - 0.5
        jump = self.u_left - self.u_right
        width = jnp.sqrt(2 * self.viscosity * t)
        log_h = jax.scipy.special.log_ndtr((xi - self.u_right * t) / width)
        log_h -= jax.scipy.special.log_ndtr(-(xi - self.u_left * t) / width)
        speed = 0.5 * (self.u_left + self.u_right)
        exponent = jump * (xi - speed * t) / (2 * self.viscosity) + log_h
        return self.u_right + jump * jax.nn.sigmoid(-exponent)

    def boundary(self, t: Float[Array, "*t"]) -> Boundary:
        """The conditions at a time, or at several along a trailing time axis."""
        ends = jax.vmap(lambda t: self.solution(t, jnp.asarray(self.domain, t.dtype)))
        values = ends(jnp.reshape(t, (-1,))).reshape(*t.shape, 2)
        return Boundary((Dirichlet(values[..., 0]), Dirichlet(values[..., 1])))


class BurgersPeriodic(eqx.Module):
    """Periodic on [0, 1] from a random initial state u_0 ~ N(0, 625 (-Δ + 25)⁻²).

    Attributes:
        coefficients: real pairs of the Fourier coefficients of u_0, modes 0 .. M-1,
            ``(2, M)``.
        viscosity: the viscosity ν, a scalar.

    Source:
        Li et al., Fourier neural operator, ICLR 2021, sec. 5.1, for the distribution;
        Hopf, Comm. Pure Appl. Math. 3 (1950) 201, eqs. 3 and 7, for the transformation.
    """

    coefficients: Float[Array, "2 m"]
    viscosity: Scalar

    domain = (0.0, 1.0)

    @classmethod
    def sample(
        cls,
        key: PRNGKeyArray,
        viscosity: ArrayLike = 0.1,
        modes: int = 32,
        *,
        centred: bool = False,
    ):
        """Draw an initial state, truncated to `modes` modes.

        Args:
            centred: whether the mean of every state is zero, as in the data of Li et
                al. By the distribution it has the variance 1, and at t = 1 the waves
                are a hundredth of it.
        """
        std = 25 / ((2 * jnp.pi * jnp.arange(modes)) ** 2 + 25)
        draws = jax.random.normal(key, (2, modes)) * (std * jnp.sqrt(0.5))[None]
        # The mean is real, and it is not one half of a conjugate pair.
        draws = draws.at[0, 0].multiply(jnp.sqrt(2.0)).at[1, 0].set(0.0)
        if centred:
            draws = draws.at[0, 0].set(0.0)
        return cls(draws, jnp.asarray(viscosity, draws.dtype))

    def initial(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """u_0 = c_0 + 2 Re Σ_{m>0} c_m exp(2π i m x)."""
        m = jnp.arange(1, self.coefficients.shape[1])
        phase = 2 * jnp.pi * x[:, None] * m[None, :]
        re, im = self.coefficients[:, 1:]
        waves = jnp.cos(phase) @ re - jnp.sin(phase) @ im
        return self.coefficients[0, 0] + 2 * waves

    def solution(
        self, t: Scalar, x: Float[Array, " n"], points: int = 256
    ) -> Float[Array, " n"]:
        """c_0 - 2ν φ_x / φ with φ_t = ν φ_xx, φ(0) = exp(-∫(u_0 - c_0) / 2ν).

        φ moves with c_0. It is smooth and positive, and its heat equation is solved
        exactly in `points` Fourier modes.
        """
        grid = jnp.arange(points) / points
        m = jnp.arange(1, self.coefficients.shape[1])
        phase = 2 * jnp.pi * grid[:, None] * m[None, :]
        re, im = self.coefficients[:, 1:] / (2 * jnp.pi * m)[None]
        integral = 2 * (jnp.sin(phase) @ re + jnp.cos(phase) @ im)
        phi = jnp.fft.rfft(jnp.exp(-integral / (2 * self.viscosity))) / points
        q = 2 * jnp.pi * jnp.arange(points // 2)
        phi = phi[: points // 2] * jnp.exp(-self.viscosity * q**2 * t)
        mean = self.coefficients[0, 0]
        angle = (x - mean * t)[:, None] * q[None, :]
        cosine = jnp.cos(angle)
        sine = jnp.sin(angle)
        twice = jnp.where(q == 0, 1.0, 2.0)
        re = twice * phi.real
        im = twice * phi.imag
        value = cosine @ re - sine @ im
        slope = -(sine @ (q * re)) - cosine @ (q * im)
        return mean - 2 * self.viscosity * slope / value

    def boundary(self, t: Float[Array, "*t"]) -> Boundary:
        """The boundary is periodic at all times."""
        return Boundary(Periodic())
