"""Initial states in primitive variables, as functions of position.

A family takes positions ``(d, *points)``, the number of variables, and settings by
name; it returns states ``(c, *points)``. Settings without a default are required, and
unknown settings are refused.
"""

import inspect
from collections.abc import Callable
from dataclasses import asdict

import numpy as np

from physcon._checks import require
from physcon.studies.solver.initial_jumps import (
    blast,
    dam_break,
    disc,
    quadrants,
    riemann,
    shock_entropy,
    uniform,
)
from physcon.studies.solver.initial_waves import barenblatt, gaussian, random, sine
from physcon.studies.solver.problem_settings import InitialSettings

FAMILIES: dict[str, Callable[..., np.ndarray]] = {
    f.__name__: f
    for f in (
        uniform,
        riemann,
        dam_break,
        disc,
        blast,
        quadrants,
        gaussian,
        sine,
        random,
    )
} | {"shock_entropy": shock_entropy, "barenblatt": barenblatt}


def states(
    settings: InitialSettings, x: np.ndarray, channels: int, **known: object
) -> np.ndarray:
    """The states of the family at positions ``(d, *points)``.

    Args:
        known: values that a family may use in addition to its settings: `box`, `rng`,
            `law`.

    Raises:
        ValueError: for a setting that the family does not take, or a missing one.
    """
    given = {k: v for k, v in asdict(settings).items() if v is not None}
    family = FAMILIES[given.pop("name")]
    taken = inspect.signature(family).parameters.values()
    options = {p.name: p for p in taken if p.kind is p.KEYWORD_ONLY}
    name = f"settings of initial.name {settings.name} ({', '.join(options) or 'none'})"
    foreign = ", ".join(set(given) - set(options))
    require(not foreign, name, foreign, "leave this setting out")
    missing = ", ".join(
        n for n, p in options.items() if p.default is p.empty and n not in given
    )
    require(not missing, name, f"no {missing}", "set it in the section initial")
    wanted = {p.name: known[p.name] for p in taken if p.name in known}
    return family(x, channels, **wanted, **given)
