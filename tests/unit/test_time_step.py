"""`physcon solve` takes MUSCL-Hancock where the problem allows it, and says so."""

from dataclasses import replace

import pytest

from physcon.studies.solver.equations import equation
from physcon.studies.solver.problem_settings import (
    GridSettings,
    LawSettings,
    SideSettings,
    SidesSettings,
)
from physcon.studies.solver.settings import SchemeSettings, SolveConfig
from physcon.studies.solver.time_step import time_step

GAS = SolveConfig(law=LawSettings(name="euler"))
WATER = LawSettings(name="shallow_water")
WALL = SidesSettings(left=SideSettings(kind="neumann"))

WAVES = {
    "gas": GAS,
    "water": replace(GAS, law=WATER),
    "a scalar": replace(GAS, law=LawSettings(name="burgers")),
    "characteristic": replace(GAS, scheme=SchemeSettings(variables="characteristic")),
    "rusanov": replace(GAS, scheme=SchemeSettings(riemann="rusanov")),
    "walls": replace(GAS, sides=SidesSettings(left=SideSettings(kind="reflective"))),
}
OBSTACLES = {
    "mesh": replace(GAS, grid=GridSettings(path="channel.msh")),
    "diffusion": replace(GAS, law=LawSettings(name="burgers", viscosity=0.1)),
    "bed": replace(GAS, law=replace(WATER, bed=True)),
    "not muscl": replace(GAS, scheme=SchemeSettings(reconstruction="weno5")),
    "positive": replace(GAS, scheme=SchemeSettings(positive=True)),
    "scheme.dt": replace(GAS, scheme=SchemeSettings(dt=1e-3)),
    "derivative": replace(GAS, sides=WALL),
}


def chosen(config):
    return time_step(config, equation(config.law, 1).law)


@pytest.mark.parametrize("name", WAVES)
def test_waves_on_a_grid_take_hancock_at_its_own_cfl_number(name):
    step = chosen(WAVES[name])
    assert (step.name, step.cfl) == ("hancock", 0.9)
    assert "hancock, CFL number 0.9" in step.sentence()


@pytest.mark.parametrize("name", OBSTACLES)
def test_everything_else_takes_runge_kutta_and_the_output_says_why(name):
    step = chosen(OBSTACLES[name])
    assert (step.name, step.cfl) == ("ssp_rk3", 0.45)
    assert name in step.sentence()


def test_a_step_and_a_cfl_number_in_the_settings_are_kept():
    scheme = SchemeSettings(step="ssp_rk2", cfl=0.3)
    step = chosen(replace(GAS, scheme=scheme))
    assert (step.name, step.cfl) == ("ssp_rk2", 0.3)
    assert "not set" not in step.sentence()
    step = chosen(replace(GAS, scheme=SchemeSettings(step="hancock", cfl=0.5)))
    assert (step.name, step.cfl) == ("hancock", 0.5)
