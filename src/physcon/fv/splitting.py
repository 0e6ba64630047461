"""Operator splitting for u_t + div F(u) = div(k(u) grad u)."""

from dataclasses import replace
from typing import Any

import equinox as eqx

from physcon._checks import require
from physcon._typing import Array, Float, Scalar
from physcon.boundary import Condition, Flux, Seam
from physcon.fv.diffusion.mixed import Mixed
from physcon.fv.implicit import sdirk2
from physcon.fv.problem import Problem
from physcon.fv.protocols import Step, cfl_limits_of, is_implicit
from physcon.fv.stepping import ssp_rk3
from physcon.fv.unstructured import MeshProblem


def parts(problem: Problem | MeshProblem) -> tuple[Any, Any]:
    """The waves and the diffusion of a `Mixed` law; their tendencies add up to its own.

    Raises:
        ValueError: a law of another kind.
    """
    law = problem.law
    require(
        isinstance(law, Mixed),
        "a Mixed law",
        type(law).__name__,
        "use a step for one of its parts",
    )
    # A prescribed flux is the whole flux of a side: the diffusion adds nothing to it.
    waves = replace(problem, law=law.hyperbolic)
    rest = problem.with_conditions(_no_flux)
    return waves, replace(rest, law=law.diffusion, source=None)


def _no_flux(side: Condition) -> Condition:
    if isinstance(side, Seam):
        return replace(side, outer=_no_flux(side.outer))
    return Flux(0.0) if isinstance(side, Flux) else side


class Strang(eqx.Module):
    """A `Scheme.step` for a `Mixed` law: half a step of diffusion, one of waves, half.

    Order 2 where both parts are smooth and of order 2; conserves as its parts do. An
    implicit diffusion sets no limit: the CFL number then bounds dt by the waves alone.
    A source and prescribed fluxes belong to the waves.

    Attributes:
        waves: explicit step of the hyperbolic law.
        diffusion: step of the diffusion.

    Raises:
        ValueError: a law of another kind, or a periodic axis with an implicit step.

    Source: Strang, SIAM J. Numer. Anal. 5 (1968) 506; LeVeque (2002), sec. 17.4.
    """

    waves: Step = eqx.field(static=True, default=ssp_rk3)
    diffusion: Step = eqx.field(static=True, default=sdirk2)

    def __call__(
        self,
        problem: Problem | MeshProblem,
        u: Float[Array, "c *x"],
        t: Scalar,
        dt: Scalar,
    ) -> Float[Array, "c *x"]:
        waves, diffusion = parts(problem)
        half = 0.5 * dt
        u = self.diffusion(diffusion, u, t, half)
        u = self.waves(waves, u, t, dt)
        return self.diffusion(diffusion, u, t + half, half)

    @property
    def implicit(self) -> bool:
        """Whether the diffusion solves equations."""
        return is_implicit(self.diffusion)

    @property
    def cfl_limits(self) -> tuple[float, float] | None:
        """The largest stable CFL numbers for waves and for diffusion."""
        waves = cfl_limits_of(self.waves)
        diffusion = cfl_limits_of(self.diffusion)
        if waves is None or diffusion is None:
            return waves
        return waves[0], 2 * diffusion[1]  # the diffusion takes half steps

    def limiting(self, law: Any) -> Any:
        """The part of the law whose CFL number limits the step."""
        implicit = cfl_limits_of(self.diffusion) is None
        return law.hyperbolic if isinstance(law, Mixed) and implicit else law
