"""Explicit one-step methods, ``step(problem, u, t, dt) -> u``, with ``problem(u, t) =
du/dt``.

The strong-stability-preserving ones are convex combinations of forward Euler steps:
what one Euler step keeps (positivity, total variation, maximum principle), they keep at
`dt` up to their coefficient times Euler's. Source: Shu and Osher, J. Comput. Phys. 77
(1988) 439; Gottlieb, Shu and Tadmor, SIAM Review 43 (2001) 89.
"""

from collections.abc import Callable

from physcon._typing import Array, Float, Scalar

#: ``problem(u, t)``, the tendency.
Tendency = Callable[[Array, Scalar], Array]
Step = Callable[..., Array]


def forward_euler(
    problem: Tendency, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """One stage, order 1."""
    return u + dt * problem(u, t)


def ssp_rk2(
    problem: Tendency, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """Two stages, order 2, SSP coefficient 1 (Heun's method; Shu and Osher 1988, eq.
    2.16).
    """
    first = u + dt * problem(u, t)
    return 0.5 * u + 0.5 * (first + dt * problem(first, t + dt))


def ssp_rk3(
    problem: Tendency, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """Three stages, order 3, SSP coefficient 1 (Shu and Osher 1988, eq. 2.18)."""
    first = u + dt * problem(u, t)
    second = 0.75 * u + 0.25 * (first + dt * problem(first, t + dt))
    return u / 3 + 2 / 3 * (second + dt * problem(second, t + 0.5 * dt))


def ssp_rk43(
    problem: Tendency, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """Four stages, order 3, SSP coefficient 2 (Spiteri and Ruuth 2002, SIAM J. Numer.
    Anal. 40).
    """
    half = 0.5 * dt
    v = u + half * problem(u, t)
    v = v + half * problem(v, t + half)
    v = 2 / 3 * u + 1 / 3 * (v + half * problem(v, t + dt))
    return v + half * problem(v, t + half)
