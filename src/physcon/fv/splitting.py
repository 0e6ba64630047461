"""Operator splitting for u_t + div F(u) = div(k(u) grad u): waves explicit, diffusion
implicit.
"""

from dataclasses import replace
from typing import Any

import equinox as eqx

from physcon._checks import require
from physcon._typing import Array, Float, Scalar
from physcon.boundary import Boundary, Condition, Flux, Seam
from physcon.fv.diffusion import Mixed
from physcon.fv.implicit import sdirk2
from physcon.fv.semidiscrete import Problem
from physcon.fv.stepping import Step, ssp_rk3


def parts(problem: Problem) -> tuple[Problem, Problem]:
    """The waves and the diffusion of a `Mixed` law, whose tendencies add up to that of
    the whole.

    Raises: ValueError for a law of another kind.
    """
    law = problem.law
    require(
        isinstance(law, Mixed),
        "a Mixed law",
        type(law).__name__,
        "use one of its parts",
    )
    # What a side prescribes is the whole flux: the diffusion brings nothing more.
    rest = Boundary(*[(_no_flux(a), _no_flux(b)) for a, b in problem.boundary.sides])
    waves = replace(problem, law=law.hyperbolic)
    return waves, replace(problem, law=law.diffusion, boundary=rest, source=None)


def _no_flux(side: Condition) -> Condition:
    if isinstance(side, Seam):
        return replace(side, outer=_no_flux(side.outer))
    return Flux(0.0) if isinstance(side, Flux) else side


class Strang(eqx.Module):
    """A `Scheme.step` for a `Mixed` law: half a step of diffusion, waves, half of
    diffusion.

    Order 2 where both parts are smooth and of order 2; conserves as its parts do. The
    CFL number limits dt by the waves alone. A source and prescribed fluxes go with the
    waves.

    Attributes:
        waves: explicit step of the hyperbolic law.
        diffusion: step of the diffusion.

    Raises: ValueError for a law of another kind, or a periodic axis with an implicit
        step.
    Source: Strang, SIAM J. Numer. Anal. 5 (1968) 506; LeVeque (2002), sec. 17.4.
    """

    waves: Step = eqx.field(static=True, default=ssp_rk3)
    diffusion: Step = eqx.field(static=True, default=sdirk2)

    def __call__(
        self, problem: Problem, u: Float[Array, "c *x"], t: Scalar, dt: Scalar
    ) -> Float[Array, "c *x"]:
        waves, diffusion = parts(problem)
        half = 0.5 * dt
        u = self.diffusion(diffusion, u, t, half)
        u = self.waves(waves, u, t, dt)
        return self.diffusion(diffusion, u, t + half, half)

    def limiting(self, law: Any) -> Any:
        """The part of the law whose CFL number limits the step."""
        return law.hyperbolic if isinstance(law, Mixed) else law
