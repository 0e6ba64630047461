"""The equations of `physcon solve`, with the names and units of their variables."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

from physcon import fv
from physcon._checks import require
from physcon.studies.solver.problem_settings import LawSettings


class Variable(NamedTuple):
    """A channel of the state, as a file describes it."""

    name: str
    long_name: str
    units: str = "1"


class Equation(NamedTuple):
    """A law with its conserved variables and its additional primitive variables.

    Attributes:
        law: the law for `physcon.fv`.
        conserved: the channels of the state, in order.
        primitive: the channels of `law.primitive`, in order.
    """

    law: Any
    conserved: tuple[Variable, ...]
    primitive: tuple[Variable, ...]


class _Entry(NamedTuple):
    build: Callable[..., Any]
    parameters: tuple[str, ...]
    long_name: str = ""


_SCALAR = {
    "advection": _Entry(
        lambda velocity=(1.0,): fv.Advection(tuple(velocity)), ("velocity",), "tracer"
    ),
    "burgers": _Entry(fv.Burgers, (), "velocity"),
    "traffic": _Entry(fv.Traffic, ("free_speed", "jam_density"), "density of vehicles"),
    "buckley_leverett": _Entry(fv.BuckleyLeverett, ("mobility_ratio",), "saturation"),
}
_DIFFUSION = {
    "heat": _Entry(fv.Heat, ("conductivity",), "temperature"),
    "pme": _Entry(fv.PorousMedium, ("exponent", "face"), "density"),
    "stefan": _Entry(fv.Stefan, ("threshold", "above", "below", "face"), "temperature"),
}
_SYSTEMS = {
    "shallow_water": _Entry(fv.ShallowWater, ("gravity", "bed")),
    "euler": _Entry(fv.Euler, ("gamma",)),
}
AXES = ("x", "y", "z")


def equation(settings: LawSettings, dimensions: int) -> Equation:
    """The law with its parameters, and its variables in 1-D, 2-D or 3-D.

    Raises:
        ValueError: for a parameter that the law does not have.
    """
    given = {k: v for k, v in asdict(settings).items() if v is not None}
    name = given.pop("name")
    entry = {**_SCALAR, **_DIFFUSION, **_SYSTEMS}[name]
    known = (*entry.parameters, *(("viscosity",) if name in _SCALAR else ()))
    foreign = ", ".join(set(given) - set(known))
    has = ", ".join(known) or "none"
    require(
        not foreign,
        f"parameters of {name} ({has})",
        foreign,
        "leave this parameter out",
    )
    viscosity = given.pop("viscosity", None)
    law = entry.build(**given)
    if name == "euler":
        return Equation(law, *_gas(dimensions))
    if name == "shallow_water":
        return Equation(law, *_water(dimensions, law.bed))
    law = law if viscosity is None else fv.Mixed(law, fv.Heat(viscosity))
    scalar = (Variable("u", entry.long_name),)
    return Equation(law, scalar, scalar)


def is_scalar(law: Any) -> bool:
    """Whether a hyperbolic law has one conserved variable."""
    return not isinstance(law, fv.Euler | fv.ShallowWater)


Variables = tuple[Variable, ...]


def _vector(name: str, long_name: str, units: str, dimensions: int) -> Variables:
    return tuple(
        Variable(f"{name}_{axis}", f"{long_name} along {axis}", units)
        for axis in AXES[:dimensions]
    )


def _gas(d: int) -> tuple[Variables, Variables]:
    density = Variable("density", "mass density")
    energy = Variable("energy", "total energy per volume")
    conserved = (density, *_vector("momentum", "momentum per volume", "1", d), energy)
    pressure = Variable("pressure", "pressure")
    return conserved, (density, *_vector("velocity", "velocity", "1", d), pressure)


def _water(d: int, bed: bool) -> tuple[Variables, Variables]:
    depth = Variable("depth", "depth of water", "m")
    ground = (Variable("bed", "height of the bed", "m"),) if bed else ()
    discharge = _vector("discharge", "depth times velocity", "m2 s-1", d)
    first = Variable("surface", "height of the surface", "m") if bed else depth
    velocity = _vector("velocity", "velocity", "m s-1", d)
    return (depth, *discharge, *ground), (first, *velocity, *ground)
