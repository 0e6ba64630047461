"""Finite-volume solvers: laws, reconstructions, Riemann solvers, time stepping."""

from typing import Any

from physcon.fv import limiter as limiter
from physcon.fv._solve import STATUS as STATUS
from physcon.fv._solve import Solution as Solution
from physcon.fv._solve import solve as solve
from physcon.fv.diffusion import Diffusion as Diffusion
from physcon.fv.diffusion import Heat as Heat
from physcon.fv.diffusion import Mixed as Mixed
from physcon.fv.diffusion import PorousMedium as PorousMedium
from physcon.fv.diffusion import Stefan as Stefan
from physcon.fv.euler import Euler as Euler
from physcon.fv.event import Arrival as Arrival
from physcon.fv.event import Event as Event
from physcon.fv.hancock import muscl_hancock as muscl_hancock
from physcon.fv.implicit import implicit_euler as implicit_euler
from physcon.fv.implicit import sdirk2 as sdirk2
from physcon.fv.law import Law as Law
from physcon.fv.layered import Layered as Layered
from physcon.fv.passive import PassiveScalars as PassiveScalars
from physcon.fv.positivity import Positive as Positive
from physcon.fv.reconstruction import MUSCL as MUSCL
from physcon.fv.reconstruction import Constant as Constant
from physcon.fv.riemann import godunov as godunov
from physcon.fv.riemann import hll as hll
from physcon.fv.riemann import hllc as hllc
from physcon.fv.riemann import roe as roe
from physcon.fv.riemann import rusanov as rusanov
from physcon.fv.scalar import Advection as Advection
from physcon.fv.scalar import BuckleyLeverett as BuckleyLeverett
from physcon.fv.scalar import Burgers as Burgers
from physcon.fv.scalar import Traffic as Traffic
from physcon.fv.semidiscrete import Problem as Problem
from physcon.fv.semidiscrete import Scheme as Scheme
from physcon.fv.semidiscrete import face_flux as face_flux
from physcon.fv.semidiscrete import rate as rate
from physcon.fv.semidiscrete import tendency as tendency
from physcon.fv.shallow_water import ShallowWater as ShallowWater
from physcon.fv.splitting import Strang as Strang
from physcon.fv.stepping import forward_euler as forward_euler
from physcon.fv.stepping import ssp_rk2 as ssp_rk2
from physcon.fv.stepping import ssp_rk3 as ssp_rk3
from physcon.fv.stepping import ssp_rk43 as ssp_rk43
from physcon.fv.weno import WENO as WENO


def __getattr__(name: str) -> Any:
    if name == "solve_stiff":  # loads diffrax
        from physcon.fv.stiff import solve_stiff

        return solve_stiff
    raise AttributeError(f"module 'physcon.fv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), "solve_stiff"])
