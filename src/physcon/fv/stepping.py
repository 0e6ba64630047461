"""Explicit one-step methods, ``step(problem, u, t, dt) -> u``.

``problem(u, t)`` is du/dt. The strong-stability-preserving methods are convex
combinations of forward Euler steps: positivity, total variation and the maximum
principle hold under their steps whenever they hold under Euler steps of that size,
divided by the SSP coefficient.

Source: Shu and Osher, J. Comput. Phys. 77 (1988) 439; Gottlieb, Shu and Tadmor, SIAM
Review 43 (2001) 89.
"""

from collections.abc import Callable
from typing import TypeVar

from physcon._typing import Array, Float, Scalar
from physcon.fv.protocols import Step as Step
from physcon.fv.protocols import Tendency as Tendency

F = TypeVar("F", bound=Callable)


def explicit(waves: float, diffusion: float) -> Callable[[F], F]:
    """Decorator: declare the CFL numbers above which a step is unstable.

    Args:
        waves: a generous limit, beyond which no reconstruction here is stable.
        diffusion: where the stability interval on the negative real axis ends.
    """

    def declare(step: F) -> F:
        step.cfl_limits = (waves, diffusion)  # type: ignore[attr-defined]
        return step

    return declare


@explicit(waves=1.0, diffusion=1.0)
def forward_euler(
    problem: Tendency, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """One stage, order 1."""
    return u + dt * problem(u, t)


@explicit(waves=1.0, diffusion=1.0)
def ssp_rk2(
    problem: Tendency, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """Two stages, order 2, SSP coefficient 1.

    Source: Heun's method; Shu and Osher (1988), eq. 2.16.
    """
    first = u + dt * problem(u, t)
    return 0.5 * u + 0.5 * (first + dt * problem(first, t + dt))


@explicit(waves=1.5, diffusion=1.26)
def ssp_rk3(
    problem: Tendency, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """Three stages, order 3, SSP coefficient 1.

    Source: Shu and Osher (1988), eq. 2.18.
    """
    first = u + dt * problem(u, t)
    second = 0.75 * u + 0.25 * (first + dt * problem(first, t + dt))
    return u / 3 + 2 / 3 * (second + dt * problem(second, t + 0.5 * dt))


@explicit(waves=2.6, diffusion=2.6)
def ssp_rk43(
    problem: Tendency, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
) -> Float[Array, "c *x"]:
    """Four stages, order 3, SSP coefficient 2.

    Source: Spiteri and Ruuth, SIAM J. Numer. Anal. 40 (2002) 469.
    """
    half = 0.5 * dt
    v = u + half * problem(u, t)
    v = v + half * problem(v, t + half)
    v = 2 / 3 * u + 1 / 3 * (v + half * problem(v, t + dt))
    return v + half * problem(v, t + half)
