"""Finite-volume solvers: laws, reconstructions, Riemann solvers, time stepping."""

from typing import TYPE_CHECKING, Any

from physcon._arguments import name_wrong_arguments, public
from physcon.fv import limiter
from physcon.fv._solution import STATUS, Solution
from physcon.fv._solve import solve
from physcon.fv.diffusion import Diffusion, Heat, Mixed, PorousMedium, Stefan
from physcon.fv.euler import Euler
from physcon.fv.event import Arrival, Event
from physcon.fv.hancock import muscl_hancock
from physcon.fv.implicit import implicit_euler, sdirk2
from physcon.fv.law import Law
from physcon.fv.layered import Layered
from physcon.fv.passive import PassiveScalars
from physcon.fv.positivity import Positive
from physcon.fv.problem import Problem
from physcon.fv.reconstruction import MUSCL, Constant
from physcon.fv.riemann import godunov, hll, hllc, roe, rusanov
from physcon.fv.scalar import Advection, BuckleyLeverett, Burgers, Traffic
from physcon.fv.scheme import Scheme
from physcon.fv.semidiscrete import face_flux, rate, tendency
from physcon.fv.shallow_water import ShallowWater
from physcon.fv.splitting import Strang
from physcon.fv.stepping import forward_euler, ssp_rk2, ssp_rk3, ssp_rk43
from physcon.fv.unstructured import Linear, MeshProblem, mesh_problem
from physcon.fv.weno import WENO

if TYPE_CHECKING:
    from physcon.fv.stiff import solve_stiff

__all__ = [
    "MUSCL",
    "STATUS",
    "WENO",
    "Advection",
    "Arrival",
    "BuckleyLeverett",
    "Burgers",
    "Constant",
    "Diffusion",
    "Euler",
    "Event",
    "Heat",
    "Law",
    "Layered",
    "Linear",
    "MeshProblem",
    "Mixed",
    "PassiveScalars",
    "PorousMedium",
    "Positive",
    "Problem",
    "Scheme",
    "ShallowWater",
    "Solution",
    "Stefan",
    "Strang",
    "Traffic",
    "face_flux",
    "forward_euler",
    "godunov",
    "hll",
    "hllc",
    "implicit_euler",
    "limiter",
    "mesh_problem",
    "muscl_hancock",
    "rate",
    "roe",
    "rusanov",
    "sdirk2",
    "solve",
    "solve_stiff",
    "ssp_rk2",
    "ssp_rk3",
    "ssp_rk43",
    "tendency",
]


def __getattr__(name: str) -> Any:
    if name == "solve_stiff":  # loads diffrax
        from physcon.fv.stiff import solve_stiff

        return public(solve_stiff, __name__)
    raise AttributeError(f"module 'physcon.fv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


name_wrong_arguments(globals())
