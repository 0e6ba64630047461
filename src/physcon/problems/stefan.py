"""Stefan problem u_t = (k(u) u_x)_x, k = 1 for u >= p* and 0 below: a moving jump."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import erf

from physcon._derivative_rules import WithDerivative
from physcon._numerics.float64 import in_float64
from physcon._typing import Array, ArrayLike, Float, Scalar
from physcon.problems.problem import (
    Problem,
    Settings,
    checked_parameter,
    coordinates,
    nonnegative,
)

SQRT_PI = 1.7724538509055159


class Stefan(Problem):
    """u_t = (k(u) u_x)_x on [0, 1], with u(0, x) = 0 and u(t, 0) = 1.

    k is 1 where u >= p*, and 0 elsewhere. Behind the front s(t) = α √t the similarity
    solution of the heat equation falls from 1 to p*. At the front it jumps to 0, where
    nothing diffuses.

    Shapes:
        The phase-change value p_star, 0 < p* < 1, is a scalar.

    Raises:
        ValueError: if p* is outside (0, 1); at run time for a traced p* under
            ``throw=True``.

    Source:
        Hansen et al. (2023), the Stefan equation of the GPME family, p* in [0.55, 0.7]
        (the test value 0.5 is outside); Maddix, Sampaio, Gerritsen, J. Comput. Phys.
        368 (2018) 277.

    >>> problem = Stefan(p_star=0.6)
    >>> s = problem.front(0.05)
    >>> places = (0.0, 0.999 * s, 1.001 * s)
    >>> [round(float(problem.solution(0.05, x)), 4) for x in places]
    [1.0, 0.6003, 0.0]
    """

    p_star: Scalar

    settings: ClassVar[Settings] = Settings(
        name="stefan",
        parameter="p_star",
        valid=(0.0, 1.0),
        training=(0.55, 0.7),
        test=(0.5, 0.6),
        x=(0.0, 1.0),
        t=(0.0, 0.1),
        evaluation_time=0.05,
    )

    def __init__(self, p_star: ArrayLike, throw: bool = True):
        self.p_star = checked_parameter(p_star, self.settings, throw)

    @property
    def alpha(self) -> Float[Array, "..."]:
        """α of the front s = α √t: p* ζ exp(ζ²) erf(ζ) = (1 - p*) / √π with ζ = α / 2.

        This is the Rankine-Hugoniot condition s' p* = -u_x(s-) for the profile of
        `solution`.
        """
        return 2 * front_constant(self.p_star)

    @property
    def amplitude(self) -> Float[Array, "..."]:
        """c = (1 - p*) / erf(α / 2), such that u(s-) = p*."""
        return (1 - self.p_star) / erf(0.5 * self.alpha)

    def solution(self, t: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
        """u = 1 - c erf(x / (2 √t)) for x <= α √t, else 0."""
        t, x = coordinates(t, x)
        inside = x <= self.front(t)
        return jnp.where(inside, 1 - self.amplitude * erf(0.5 * x / _root(t)), 0.0)

    def primitive(self, t: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
        """x - 2 c √t (ξ erf ξ + (exp(-ξ²) - 1) / √π), ξ = x / (2 √t).

        It is constant beyond the front.
        """
        t, x = coordinates(t, x)
        x = jnp.minimum(x, self.front(t))
        xi = 0.5 * x / _root(t)
        return x - 2 * self.amplitude * _root(t) * (
            xi * erf(xi) + jnp.expm1(-(xi**2)) / SQRT_PI
        )

    def mass(self, t: ArrayLike) -> Float[Array, "..."]:
        """2 c √(t / π) while the front is inside the domain, then `primitive` at x = 1.

        The inflow is F(t, 0) = -u_x(t, 0) = c / √(π t), whose integral from 0 to t is 2
        c √(t / π). Once α √t > 1, the part between 1 and the front lies outside the
        domain.
        """
        t = nonnegative(t)
        inside = self.front(t) <= 1
        entered = jnp.where(t > 0, 2 * self.amplitude * _root(t) / SQRT_PI, 0.0)
        return jnp.where(inside, entered, self.primitive(t, jnp.ones_like(t)))

    def flux(
        self, u: Float[Array, "*s"], u_x: Float[Array, "*s"]
    ) -> Float[Array, "*s"]:
        """F = -k(u) u_x."""
        return jnp.where(u >= self.p_star, -u_x, 0.0)

    def front(self, t: ArrayLike) -> Float[Array, "..."]:
        """s = α √t."""
        t = nonnegative(t)
        return jnp.where(t > 0, self.alpha * _root(t), 0.0)


def _root(t: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """√t, and 1 at t = 0, where it is only used in terms that vanish."""
    return jnp.sqrt(jnp.where(t > 0, t, 1.0))


@WithDerivative
def front_constant(p_star: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Solve p* ζ exp(ζ²) erf(ζ) = (1 - p*) / √π for ζ > 0, to rounding.

    The result has all derivatives. Newton's method is applied to h(y) = y + exp(2y) +
    ln erf(exp y) + ln(√π p* / (1 - p*)) with ζ = exp y. h is increasing and convex, and
    the start is the root of its left asymptote, which lies below h, so the iterates
    fall monotonically to the root from the right. The computation is in float64 and
    rounded once.
    """
    return in_float64(_newton)(p_star)


@front_constant.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """The implicit function theorem: h_y ζ'/ζ = -∂h/∂p* = -1 / (p* (1 - p*))."""
    (p_star,) = primals
    (tangent,) = tangents
    zeta = front_constant(p_star)
    return zeta, -zeta / (p_star * (1 - p_star) * _slope(zeta)) * tangent


def _slope(zeta: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """h_y = 1 + 2 ζ² + 2 ζ exp(-ζ²) / (√π erf ζ), at least 2."""
    return 1 + 2 * zeta**2 + 2 * zeta * jnp.exp(-(zeta**2)) / (SQRT_PI * erf(zeta))


@jax.jit
def _newton(p_star: Float[Array, "*s"]) -> Float[Array, "*s"]:
    odds = (1 - p_star) / p_star

    def step(_: Any, y: Array) -> Array:
        zeta = jnp.exp(y)
        h = y + zeta**2 + jnp.log(erf(zeta)) + jnp.log(SQRT_PI / odds)
        return y - h / _slope(zeta)

    return jnp.exp(jax.lax.fori_loop(0, 20, step, 0.5 * jnp.log(0.5 * odds)))
