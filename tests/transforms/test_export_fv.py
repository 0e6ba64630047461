"""Exports of finite volumes, see `test_export_everything`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from exporting import ENDS, GRID, N, export

import physcon as pc
from physcon import fv, mesh
from physcon.fv import limiter

CIRCLE = pc.Boundary(pc.Periodic())
T, DT = jnp.asarray(0.0), jnp.asarray(0.01)
EULER, WATER = fv.Euler(), fv.ShallowWater()


def state(x, law):
    """An admissible state of three (Euler) or two channels."""
    if isinstance(law, fv.ShallowWater):
        return jnp.stack([1 + x**2, x])
    return law.conservative(jnp.stack([1 + x**2, x, 1 + x**2]))


def faces(solver, law=EULER) -> Callable:
    return lambda x: solver(state(x, law), state(x[::-1], law), law)


def rate_of_change(law, reconstruct=None, channels=1) -> Callable:
    scheme = fv.Scheme() if reconstruct is None else fv.Scheme(reconstruct)
    boundary = ENDS if isinstance(law, fv.Diffusion) else CIRCLE

    def tendency(x):
        u = jnp.stack([1 + x**2] * channels) if channels != 3 else state(x, EULER)
        return fv.tendency(u, law, GRID, boundary, scheme)

    return tendency


def step(stepper, law=None, reconstruct=None) -> Callable:
    law = EULER if law is None else law
    boundary = ENDS if isinstance(law, fv.Diffusion) else CIRCLE
    scheme = fv.Scheme(fv.MUSCL() if reconstruct is None else reconstruct, step=stepper)
    problem = fv.Problem(law, GRID, boundary, scheme)
    return lambda x: stepper(
        problem, state(x, law) if isinstance(law, fv.Euler) else x[None], T, DT
    )


#: Eight triangles in a square, open on all sides.
TRIANGLES = mesh.triangles((0.0, 0.0), (1.0, 1.0), (2, 2))

SIDES = dict.fromkeys(TRIANGLES.patches, pc.Outflow())


#: Name of the public thing -> a function of x (8 numbers).
TABLE: dict[str, Callable[[Any], Any]] = {
    # Finite volumes
    "fv.Advection": rate_of_change(fv.Advection(1.0)),
    "fv.Burgers": rate_of_change(fv.Burgers()),
    "fv.Traffic": rate_of_change(fv.Traffic()),
    "fv.BuckleyLeverett": rate_of_change(fv.BuckleyLeverett()),
    "fv.Euler": rate_of_change(fv.Euler(), channels=3),
    "fv.ShallowWater": rate_of_change(WATER, channels=2),
    "fv.PassiveScalars": rate_of_change(
        fv.PassiveScalars(fv.ShallowWater()), channels=3
    ),
    "fv.Heat": rate_of_change(fv.Heat()),
    "fv.Layered": rate_of_change(fv.Layered(jnp.ones(N))),
    "fv.PorousMedium": rate_of_change(fv.PorousMedium(3.0)),
    "fv.Stefan": rate_of_change(fv.Stefan(face="shock")),
    "fv.Mixed": rate_of_change(fv.Mixed(fv.Burgers(), fv.Heat())),
    "fv.Constant": rate_of_change(fv.Burgers(), fv.Constant()),
    "fv.MUSCL": rate_of_change(EULER, fv.MUSCL(variables="characteristic"), 3),
    "fv.Linear, fv.MeshProblem, fv.mesh_problem": lambda x: fv.mesh_problem(
        fv.Burgers(), TRIANGLES, SIDES, fv.Scheme(fv.Linear())
    )(x[None], jnp.zeros(())),
    "fv.WENO": rate_of_change(EULER, fv.WENO(5, "z", "primitive"), 3),
    "fv.Positive": rate_of_change(EULER, fv.Positive(fv.MUSCL()), 3),
    "fv.Law": lambda x: EULER.max_speed(state(x, EULER)),
    "fv.rusanov": faces(fv.rusanov),
    "fv.hll": faces(fv.hll),
    "fv.hllc": faces(fv.hllc),
    "fv.roe": faces(fv.roe),
    "fv.godunov": lambda x: fv.godunov(x[None], x[None, ::-1], fv.BuckleyLeverett()),
    "fv.face_flux": lambda x: fv.face_flux(x[None], fv.Burgers(), GRID, CIRCLE),
    "fv.tendency": rate_of_change(fv.Burgers()),
    "fv.rate": lambda x: fv.rate(x[None], fv.Burgers(), GRID, CIRCLE),
    "fv.forward_euler": step(fv.forward_euler, fv.Burgers()),
    "fv.ssp_rk2": step(fv.ssp_rk2, fv.Burgers()),
    "fv.ssp_rk3": step(fv.ssp_rk3, fv.Burgers()),
    "fv.ssp_rk43": step(fv.ssp_rk43, fv.Burgers()),
    "fv.muscl_hancock": step(fv.muscl_hancock),
    "fv.implicit_euler": step(fv.implicit_euler, fv.PorousMedium(2.0)),
    "fv.sdirk2": step(fv.sdirk2, fv.PorousMedium(2.0)),
    "fv.Strang": lambda x: fv.Strang()(
        fv.Problem(fv.Mixed(fv.Burgers(), fv.Heat()), GRID, ENDS), x[None], T, DT
    ),
    "fv.Event, fv.Arrival": lambda x: (
        fv.solve(
            x[None],
            fv.Burgers(),
            GRID,
            CIRCLE,
            times=[0.1],
            event=fv.Arrival(GRID, 0.5, 1.0),
            throw=False,
        ).event
    ),
    "fv.solve": lambda x: fv.solve(
        x[None], fv.Burgers(), GRID, CIRCLE, times=[0.1, 0.2], throw=False
    ),
    **{
        f"fv.limiter.{name}": lambda x, name=name: getattr(limiter, name)(x, x[::-1])
        for name in ("koren", "mc", "minmod", "superbee", "van_leer")
    },
    "fv.limiter.symmetric": lambda x: limiter.symmetric(limiter.van_leer)(x, x[::-1]),
}


@pytest.mark.parametrize("name", TABLE, ids=lambda line: line.partition(", ")[0])
def test_exports_for_every_platform(name):
    with jax.numpy_dtype_promotion("strict"):
        export(TABLE[name])
